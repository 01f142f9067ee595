"""The kernel as a witness: a rate limiter in a real kernel, without touching a real network.

``Lab`` finds the best kernel that can be had: this machine's own (as root on Linux), one in a micro-VM
(no root needed), or the recorded answers of one.  All three give the same records.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from toolkit import _check
from toolkit.ebpf import measurements, recorded
from toolkit.ebpf.channel import BackendUnavailable, LabError
from toolkit.ebpf.host import Host
from toolkit.ebpf.microvm import MEMORY_MB, Guest
from toolkit.ebpf.recorded import Recorded
from toolkit.ebpf.seen import Seen, Source, seen
from toolkit.ebpf.verdict import Verdict, verdict

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Hook = Literal["xdp", "xdp-generic", "tc", "tc-egress"]
Update = Literal["swap", "racy", "locked"]
UPDATES: tuple[Update, ...] = ("swap", "racy", "locked")
RUNGS = (
    *("xdp-drop", "xdp", "xdp-generic", "tc-drop", "tc", "nftables", "nftables-per-source"),
    *("iptables-hashlimit", "socket", "python"),
)
BACKENDS = ("host", "microvm", "recorded")
OWN_MACHINE = ("learn", "share", "observe", "pace")
"""Asked of a micro-VM also where the host's kernel answers the rest: a learner's program, and what would
leave something behind or needs a part that the host's kernel may lack."""

Backend = Host | Guest | Recorded


class Lab:
    """A kernel to ask: ``with tk.ebpf.Lab() as lab: print(lab.limit(...))``.

    ``backend``: ``auto`` takes the first that works of host, microvm and recorded, or the one that the
    environment names (``GOODPUT_LAB_BACKEND``); ``passed_over`` says why each earlier one does not.  ``cpus`` and ``memory_mb`` are those of the micro-VM.
    Raises ``BackendUnavailable`` when the one asked for cannot be had, with what would help.
    """

    def __init__(
        self,
        backend: Literal["auto", "host", "microvm", "recorded"] = "auto",
        *,
        cpus: int = 1,
        memory_mb: int = MEMORY_MB,
    ) -> None:
        if backend == "auto":
            backend = os.environ.get("GOODPUT_LAB_BACKEND", "auto")  # type: ignore[assignment]
        _check.choice("backend", backend, ("auto", *BACKENDS))
        self._machine = {"cpus": cpus, "memory_mb": memory_mb}
        self.passed_over: dict[str, str] = {}
        self._kept: list[dict[str, Any]] = []
        self._guest: Backend | None = None
        self._backend = self._first_of(*BACKENDS) if backend == "auto" else self._make(backend)

    def _make(self, name: str) -> Backend:
        if name == "microvm":
            return Guest(**self._machine)
        return Host() if name == "host" else Recorded()

    def _first_of(self, *names: str) -> Backend:
        for name in names:
            try:
                return self._make(name)
            except BackendUnavailable as error:
                self.passed_over[name] = str(error)
        tried = "\n".join(f"  {name}: {why}" for name, why in self.passed_over.items())
        raise BackendUnavailable(f"no kernel can be asked here:\n{tried}")

    @property
    def backend(self) -> str:
        """Which one answers: host, microvm or recorded."""
        return self._backend.name

    @property
    def kernel(self) -> str:
        """The release of the kernel that answers."""
        return self.source.kernel

    @property
    def source(self) -> Source:
        """Where the answers come from, for captions."""
        return _source(self._backend)

    @property
    def own_source(self) -> Source:
        """Where the answers come from that need a machine of their own: see ``OWN_MACHINE``."""
        return _source(self._for("learn"))

    def __repr__(self) -> str:
        return f"Lab({self.backend!r}: {self.source})"

    # --- what can be asked ---

    def limit(
        self,
        *,
        rate_per_s: float,
        burst: int,
        offered_per_s: float = 0,
        seconds: float = 1,
        hook: Hook = "xdp",
        changes: Sequence[tuple[float, float, int]] = (),
        law: Literal["constant", "poisson"] = "constant",
        sources: int = 1,
        count: int | None = None,
        newcomers_per_s: float = 0,
        newcomers_burst: int = 1,
        always_in: Sequence[str] = (),
        report_gap_s: float = 0,
        ip6: bool = False,
    ) -> Seen:
        """Send packets to a limiter in the kernel and count what it does.

        ``offered_per_s`` 0 is as fast as one CPU can; ``count`` ends the load after so many packets.
        ``changes``: (at_s, rate_per_s, burst), made while packets fly.  ``sources``: from so many
        addresses, at random.  ``newcomers_per_s``: all sources not yet known share such a bucket.
        ``always_in``: prefixes like 10.0.0.0/8 that pass unasked.  ``report_gap_s``: tell of a drop no more often than this on a CPU; 0: never.
        """
        limits = {"rate_per_s": rate_per_s, "burst": burst, "report_gap_s": report_gap_s}
        newcomers = {"newcomers_per_s": newcomers_per_s, "newcomers_burst": newcomers_burst}
        load = {"offered_per_s": offered_per_s, "seconds": seconds, "law": law, "sources": sources}
        load |= {} if count is None else {"count": count}
        how = {"hook": hook, "ip6": ip6, "always_in": list(always_in)}
        changing = {"changes": [list(change) for change in changes]}
        arguments = {**limits, **newcomers, **load, **how, **changing}
        return seen(self._ask("limit", arguments), self.source)

    def decide(
        self, arrivals_ns: Sequence[int] | np.ndarray, *, rate_per_s: float, burst: int
    ) -> np.ndarray:
        """Ask the program which packets pass that come at given times (whole nanoseconds, rising).

        The packets carry their times, so the answer has no luck in it.
        """
        import numpy as np  # noqa: PLC0415

        times = [int(at) for at in arrivals_ns]
        if any(later < earlier for earlier, later in itertools.pairwise(times)):
            raise ValueError("arrivals_ns must not fall")
        arguments = {"arrivals_ns": times, "rate_per_s": rate_per_s, "burst": burst}
        return np.array(self._ask("decide", arguments)["passed"], dtype=bool)

    def cost(
        self, *, updates: Sequence[Update] = UPDATES, packets: int = 500_000, rounds: int = 3
    ) -> pd.DataFrame:
        """Time the limiter alone: nanoseconds a packet, less an empty program.

        A row a round: ``update``, ``case`` (off, passed, dropped), ``ns``.
        """
        arguments = {"updates": list(updates), "packets": packets, "rounds": rounds}
        return _tables().costs(self._ask("cost", arguments))

    def race(
        self,
        *,
        updates: Sequence[Update] = UPDATES,
        burst: int = 1_000_000,
        each: int = 4_000_000,
        rounds: int = 3,
    ) -> pd.DataFrame:
        """Have all CPUs spend one full bucket at once, ``each`` packets a CPU.

        A row a round: ``update``, ``over`` (packets that passed over the bound), ``raced``, ``cpus``.
        """
        arguments = {"updates": list(updates), "burst": burst, "each": each, "rounds": rounds}
        return _tables().races(self._ask("race", arguments))

    def ladder(
        self, *, rungs: Sequence[str] = RUNGS, packets: int = 500_000, rounds: int = 3
    ) -> pd.DataFrame:
        """Time ways to say no, from the sender's call to the drop: ``rung``, ``ns`` a packet, a row a round.

        ``attrs["missing"]`` says what could not be had here.
        """
        arguments = {"rungs": list(rungs), "packets": packets, "rounds": rounds}
        return _tables().ladder(self._ask("ladder", arguments))

    def defend(
        self,
        *,
        hooks: Sequence[str] = ("none", "xdp", "tc"),
        seconds: float = 2,
        flood_per_s: float = 60_000,
    ) -> pd.DataFrame:
        """Measure a client that asks 200 times a second, alone and while another address floods.

        The server can do 20,000 a second.  ``flood_per_s`` 0 is as fast as one CPU can, but then the
        sender takes the CPUs from everybody, and sends more where it is refused more quickly.
        A row a case: ``asked``, ``answered``, ``p50_s`` and ``p99_s`` of the round trip, and how many
        packets ``flooded``.
        """
        arguments = {"hooks": list(hooks), "seconds": seconds, "flood_per_s": flood_per_s}
        return _tables().pd.DataFrame(self._ask("defend", arguments)["rows"])

    def pace(
        self, *, rate_per_s: float, burst: int, offered_per_s: float, count: int = 100
    ) -> pd.DataFrame:
        """Compare a limit that drops (``police``) with one that makes packets wait (``shape``).

        A row a packet that arrived: ``how``, ``t_s`` since the first; ``attrs["sent"]`` is the same
        for both.
        """
        load = {"offered_per_s": offered_per_s, "count": count}
        load["seconds"] = count / offered_per_s + 1
        answer = self._ask("pace", {"rate_per_s": rate_per_s, "burst": burst} | load)
        return _tables().arrivals(answer)

    def share(
        self, rates_per_s: Sequence[float], *, rate_per_s: float, burst: int, seconds: float = 2
    ) -> pd.DataFrame:
        """Limit services on their way out, a bucket each and then one for all.

        A row a service and way: ``buckets``, ``service``, ``offered_per_s``, ``sent``, ``passed``.
        """
        limits = {"rate_per_s": rate_per_s, "burst": burst, "seconds": seconds}
        answer = self._ask("share", {"rates_per_s": list(rates_per_s)} | limits)
        return _tables().services(answer, rates_per_s)

    def observe(self, *, seconds: float = 2, connections: int = 23) -> pd.DataFrame:
        """Count, in powers of two, waits for a CPU and lives of TCP connections.

        In peace and in a flood, while so many connections of 10 ms come and go.  A row a bin: ``when``,
        ``what`` (run_queue_us or tcp_life_us), ``from_us`` (its lower end), ``count``.
        """
        answer = self._ask("observe", {"seconds": seconds, "connections": connections})
        return _tables().histograms(answer)

    def try_program(self, source: str, *, packets: int = 23) -> Verdict:
        """Compile ``int program(struct xdp_md *ctx)`` of your own, send it packets, and see.

        In a micro-VM only: whatever it does, it does to a machine that can be thrown away.
        """
        return verdict(self._ask("learn", {"source": source, "packets": packets}))

    def probe(self) -> dict[str, str]:
        """Have the kernel try what the notebooks use; return the reason for what does not work, by what."""
        return dict(self._ask("probe", {})["features"])

    # --- how it is asked ---

    def _for(self, call: str) -> Backend:
        """Return who answers: beside a host's kernel, some calls get a machine of their own."""
        if call not in OWN_MACHINE or not isinstance(self._backend, Host):
            return self._backend
        if self._guest is None:
            self._guest = self._first_of("microvm", "recorded")
        return self._guest

    def _ask(self, call: str, arguments: dict[str, Any]) -> dict[str, Any]:
        backend = self._for(call)
        if isinstance(backend, Recorded):
            return backend.recall(call, arguments)
        try:
            answer = getattr(measurements, call)(backend.channel, **arguments)
        except BackendUnavailable as error:
            raise LabError(f"{error}; {self._start_anew(backend)}") from error
        self._kept.append({"call": call, "arguments": arguments, "answer": answer})
        return dict(answer)

    def _start_anew(self, backend: Backend) -> str:
        backend.close()
        try:
            fresh = self._make(backend.name)
        except BackendUnavailable as error:
            return f"it could not be started again: {error}"
        if backend is self._backend:
            self._backend = fresh
        else:
            self._guest = fresh
        return "a new one was started, ask again"

    def keep(self, path: Path) -> None:
        """Write what was asked and answered so far as a recording, for ``recorded``."""
        recorded.keep(path, source=self.source, date=datetime.now(UTC).date(), calls=self._kept)

    def close(self) -> None:
        """End the lab: nothing of it stays behind."""
        self._backend.close()
        if self._guest is not None:
            self._guest.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _source(backend: Backend) -> Source:
    if isinstance(backend, Recorded):
        return Source(backend="recorded", kernel=backend.kernel, recorded=backend.when)
    return Source(backend=backend.name, kernel=str(backend.channel.hello["kernel"]))


def _tables() -> Any:
    """Load pandas when the first table is made."""
    from toolkit.ebpf import tables  # noqa: PLC0415

    return tables
