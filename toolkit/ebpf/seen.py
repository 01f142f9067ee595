"""What a kernel was seen to do: records that say where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

WHERE = {"host": "this machine's own kernel", "microvm": "in a micro-VM"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Which kernel said it, and when."""

    backend: str  # host, microvm or recorded
    kernel: str
    recorded: str = ""  # of a recording: the backend and the date

    def __str__(self) -> str:
        if self.recorded:
            return f"Linux {self.kernel}, recorded: {self.recorded}"
        return f"Linux {self.kernel}, {WHERE[self.backend]}, measured now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a limiter in the kernel did with packets.

    ``bound`` is what it promises: floor(burst + rate x seconds) + 1, the bursts of all limits that held
    added up, and that for each source; ``seconds`` are those between its first decision and its last.
    Of the ``sent``, some may be ``lost`` before the limiter saw them (a full ring).  ``series``: a row a
    look, with ``t_s`` since the first decision and the counts so far.
    """

    sent: int
    passed: int
    dropped: int
    allowed: int  # passed unasked: on the list of those always let in
    newcomers: int  # of the dropped: new sources, when too many came at once
    raced: int  # decisions made again because another CPU was quicker
    exempt: int  # not IP, or ICMP
    bound: int
    seconds: float
    sources_known: int
    series: pd.DataFrame = field(repr=False)
    changed_s: tuple[float, ...]
    drops: pd.DataFrame = field(repr=False)
    source: Source

    @property
    def backend(self) -> str:
        """The backend that was used: host, microvm or recorded."""
        return self.source.backend

    @property
    def kernel(self) -> str:
        """The kernel's release."""
        return self.source.kernel

    @property
    def lost(self) -> int:
        """Sent, and never seen by the limiter."""
        return max(0, self.sent - self.passed - self.dropped - self.allowed)

    def __str__(self) -> str:
        kept = "kept" if self.passed <= self.bound else "BROKEN"
        return (
            f"{self.sent:,} packets sent in {self.seconds:.2f} s: {self.passed:,} passed, {self.dropped:,} "
            f"dropped; the promise of at most {self.bound:,} was {kept} ({self.source})"
        )


def seen(answer: dict[str, Any], source: Source) -> Seen:
    """Make the record of a measurement of ``limit``."""
    import pandas as pd  # noqa: PLC0415, an answer may be looked at without a table

    tables = {
        "series": pd.DataFrame(answer["series"]),
        "drops": pd.DataFrame(answer["drops"], columns=["source", "at_ns"]),
    }
    return Seen(**(answer | tables | {"changed_s": tuple(answer["changed_s"])}), source=source)
