"""One client's session: its network, its limiter, its load; and the verbs that move them.

Everything here belongs to this process and ends with it.
"""

from __future__ import annotations

import os
import time
from typing import Any

from . import checks, exercises, kernel, learn, measure
from . import probe as probing
from .kernel import Refused
from .limiter import HOOKS, UPDATES, Attachment, Limiter
from .load import CEASELESS, FrameFlood, Load, Process, last_cpu, socket_flood
from .network import Network

RATE = checks.number(0, 10_000_000)
BURST = checks.whole(1, 1_000_000)
SECONDS = checks.number(0.001, 30)
PACKETS = checks.whole(1, 10_000_000)
UPDATE = checks.one_of(*UPDATES)


class Session:
    """What a client has made so far."""

    def __init__(self, *, own_machine: bool = False) -> None:
        self._own_machine = own_machine
        self._net: Network | None = None
        self._limiter: Limiter | None = None
        self._flood: FrameFlood | None = None
        self._attached: Attachment | None = None
        self._load: Process | None = None
        self._sockets = False

    @property
    def net(self) -> Network:
        """The two namespaces, made at the first use."""
        if self._net is None:
            self._net = Network()
        return self._net

    @property
    def flood(self) -> FrameFlood:
        """The frame generator, compiled with the limiter."""
        if self._flood is None:
            program = self.limiter.function("flood_xdp")
            self._flood = FrameFlood(self.limiter.program, program.fd)
        return self._flood

    @property
    def limiter(self) -> Limiter:
        """The limiter, compiled at the first use."""
        if self._limiter is None:
            self._limiter = Limiter()
        return self._limiter

    @property
    def at_work(self) -> Limiter:
        """The limiter, where it is attached."""
        if self._attached is None:
            raise Refused("no limiter is attached; `open` one first")
        return self.limiter

    # --- the verbs; their arguments are checked already ---

    def ping(self) -> dict[str, Any]:
        """Answer."""
        return {}

    def hello(self) -> dict[str, Any]:
        """Say what kernel this is."""
        return {"kernel": os.uname().release, "cpus": os.cpu_count(), "pid": os.getpid()}

    def probe(self) -> dict[str, Any]:
        """Say what this kernel can do."""
        self.close()
        return {"features": probing.probe(self)}

    def open(self, *, hook: str) -> dict[str, Any]:
        """Attach the limiter at a hook, in place of the one before, with all its books empty."""
        self.close()
        kind = "xdp" if hook in kernel.MODES else "tc"
        program = self.limiter.function(f"limit_{kind}")
        self._sockets = hook == "tc-egress"
        if not self._sockets:
            self.flood  # noqa: B018, so that no flood begins with a verifier
        self.limiter.forget()
        self._attached = Attachment(program.fd, hook, self.net)
        return {}

    def close(self) -> dict[str, Any]:
        """End the load, detach the limiter."""
        self.stop()
        if self._attached:
            self._attached.close()
        self._attached = None
        return {}

    def set(self, **limits: Any) -> dict[str, Any]:
        """Change the limits while packets fly."""
        self.at_work.set(**limits)
        return {"at_ns": time.monotonic_ns()}

    def allow(self, *, prefix: tuple[int, bytes]) -> dict[str, Any]:
        """Let a prefix pass always."""
        self.at_work.always_let_in(*prefix)
        return {}

    def send(self, **load: Any) -> dict[str, Any]:
        """Begin to send; one load at a time."""
        self.stop()
        cpu = last_cpu()
        if self._sockets:
            self._load = socket_flood(Load(**load), self.net, cpu=cpu)
        else:
            self._load = self.flood.start(Load(**load), self.net, cpu=cpu)
        return {"pid": self._load.pid}

    def stop(self) -> dict[str, Any]:
        """End the load before its time."""
        if self._load:
            self._load.stop()
        return {}

    def counts(self) -> dict[str, Any]:
        """Read what has been sent and what became of it, at a time of the kernel's clock."""
        limiter, load = self.at_work, self._load
        running = bool(load and load.running())
        counted = limiter.counts() | {"now_ns": time.monotonic_ns(), "sending": running}
        if load is None:
            return counted | {"sent": 0}
        return counted | {"sent": load.numbers[0] if self._sockets else self.flood.sent()}

    def sources(self) -> dict[str, Any]:
        """Say how many sources have a bucket."""
        return {"sources": self.at_work.sources()}

    def drops(self) -> dict[str, Any]:
        """Take the reported drops."""
        return {"drops": self.at_work.drops()[-500:]}

    def decide(self, *, arrivals_ns: list[int], fresh: bool, **limits: Any) -> dict[str, Any]:
        """Ask the limiter about packets that carry their own times: 1 for each that passes."""
        return measure.decide(self.limiter, arrivals_ns, limits, fresh=fresh)

    def cost(self, *, update: str, packets: int) -> dict[str, Any]:
        """Time the limiter alone, less an empty program, in one run."""
        return measure.cost(self.limiter, update, packets)

    def race(self, *, update: str, burst: int, each: int) -> dict[str, Any]:
        """Have all CPUs spend one bucket at once."""
        return measure.race(self.limiter, update, burst, each)

    def rung(self, *, name: str, packets: int) -> dict[str, Any]:
        """Time one way to say no, from the sender to the drop."""
        self.close()
        return measure.rung(name, packets, self)

    def defend(
        self, *, hook: str, seconds: float, flood_per_s: float | None = None
    ) -> dict[str, Any]:
        """Measure what a well-behaved client gets, alone or while another floods."""
        self.close()
        return measure.defend(hook, seconds, flood_per_s, self)

    def learn(self, *, source: str, packets: int) -> dict[str, Any]:
        """Compile and run a learner's own program."""
        self._need_own_machine("own programs run")
        self.close()
        return learn.learn(source, packets, self)

    def pace(self, *, how: str, rate_per_s: float, burst: int, **load: Any) -> dict[str, Any]:
        """Compare dropping with waiting: return when packets arrive."""
        self.close()
        offered = Load(rate_per_s=load.pop("offered_per_s"), **load)
        return exercises.pace(how, offered, rate_per_s, burst, self)

    def share(self, **given: Any) -> dict[str, Any]:
        """Limit services on their way out, each by itself or all together."""
        self._need_own_machine("control groups are made")
        return exercises.share(**given)

    def observe(self, *, seconds: float, connections: int, flood: bool) -> dict[str, Any]:
        """Collect two histograms, in peace or while packets flood in."""
        self._need_own_machine("the scheduler is watched")
        self.close()
        load = Load(seconds=seconds) if flood else None
        return exercises.observe(seconds, connections, load, self)

    def _need_own_machine(self, what: str) -> None:
        if not self._own_machine:
            raise Refused(f"{what} in the micro-VM only: Lab(backend='microvm')")


LIMITS = {
    "rate_per_s": checks.number(0.001, 10_000_000),
    "burst": BURST,
    "newcomers_per_s": RATE,
    "newcomers_burst": BURST,
    "report_gap_s": checks.number(0, 10),
}
LOAD = {
    "rate_per_s": RATE,
    "seconds": SECONDS,
    "count": checks.whole(1, CEASELESS),
    "sources": checks.whole(1, 100_000),
    "law": checks.one_of("constant", "poisson"),
    "ip6": checks.yes_or_no,
}
# what each verb may be told; what is not here is refused
VERBS: dict[str, dict[str, checks.Check]] = {
    "ping": {},
    "hello": {},
    "probe": {},
    "open": {"hook": checks.one_of(*HOOKS)},
    "close": {},
    "set": LIMITS,
    "allow": {"prefix": checks.prefix},
    "send": LOAD,
    "stop": {},
    "counts": {},
    "sources": {},
    "drops": {},
    "decide": {
        "arrivals_ns": checks.list_of(checks.whole(0, 2**62), 5_000),
        "fresh": checks.yes_or_no,
        "rate_per_s": LIMITS["rate_per_s"],
        "burst": BURST,
    },
    "cost": {"update": UPDATE, "packets": PACKETS},
    "race": {"update": UPDATE, "burst": BURST, "each": PACKETS},
    "rung": {"name": checks.one_of(*measure.RUNGS), "packets": PACKETS},
    "defend": {
        "hook": checks.one_of("none", "xdp", "tc"),
        "seconds": SECONDS,
        "flood_per_s": RATE,
    },
    "pace": {
        "how": checks.one_of("police", "shape"),
        "rate_per_s": LIMITS["rate_per_s"],
        "burst": BURST,
        "offered_per_s": RATE,
        "seconds": SECONDS,
        "count": checks.whole(1, exercises.NOTED),
    },
    "share": {
        "rates_per_s": checks.list_of(checks.number(1, 100_000), 8),
        "rate_per_s": LIMITS["rate_per_s"],
        "burst": BURST,
        "seconds": SECONDS,
        "together": checks.yes_or_no,
    },
    "observe": {
        "seconds": SECONDS,
        "connections": checks.whole(1, 1000),
        "flood": checks.yes_or_no,
    },
    "learn": {"source": checks.text(50_000), "packets": checks.whole(1, 10_000)},
}


def obey(session: Session, verb: Any, given: Any) -> dict[str, Any]:
    """Check a request against the list and do it; raises ``Refused``, naming what is wrong."""
    if not isinstance(verb, str) or verb not in VERBS:
        raise Refused(f"unknown verb {str(verb)[:40]!r}; known: {', '.join(sorted(VERBS))}")
    known = VERBS[verb]
    if not isinstance(given, dict) or (strange := sorted(set(given) - set(known))):
        said = ", ".join(map(str, strange)) if isinstance(given, dict) else "args must be an object"
        raise Refused(f"{verb} does not take {said[:60]}; it takes {', '.join(known) or 'nothing'}")
    arguments = {name: known[name](name, value) for name, value in given.items()}
    try:
        return dict(getattr(session, verb)(**arguments))
    except TypeError as error:
        if "required" not in str(error) and "missing" not in str(error):
            raise
        raise Refused(f"{verb}: {str(error).split('() ', 1)[-1]}") from None
