"""The verifier's verdict in plain words, beside its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

# what the verifier writes, and what it means for somebody who writes a first program
MEANINGS: tuple[tuple[str, str], ...] = (
    (
        r"invalid access to packet",
        (
            "The program reads a part of the packet that may not be there. "
            "First: if ((void *)(header + 1) > (void *)(long)ctx->data_end) return XDP_PASS;"
        ),
    ),
    (
        r"invalid mem access '(?:map_value_or_null|mem_or_null)'|R\d+ invalid mem access 'map_value_or_null'",
        "A lookup may find nothing. Test the pointer before you use it: if (!value) return XDP_PASS;",
    ),
    (
        r"infinite loop detected|back-edge",
        "The verifier cannot see that this loop ends. Give it a fixed number of turns.",
    ),
    (
        r"too many instructions|rogram +(?:is )?too large|processed \d{7}",
        "The verifier gave up after a million steps: too many paths, or a loop with too many turns.",
    ),
    (
        r"stack (?:of .* exceeds|limit)|combined stack size|Looks like the BPF stack limit",
        "A program has 512 bytes of stack. Put what is larger into a map.",
    ),
    (r"R0 !read_ok", "The program ends without a return value on some path."),
    (
        r"invalid access to map value",
        "The program reads or writes past the end of a map's value. Check the index against its size.",
    ),
    (
        r"invalid (?:indirect )?(?:read|access) (?:from|to|of) stack|invalid indirect read from stack",
        "A variable is used before every byte of it was set. Begin with = {};",
    ),
    (
        r"unknown func|helper call is not allowed|cannot use helper",
        "This kind of program may not call that function of the kernel.",
    ),
    (
        r"unreachable insn",
        "Part of the program can never run; the verifier takes that for a mistake.",
    ),
    (
        r"unbounded memory access|min value is negative|unbounded min value",
        "A number that chooses where to read has no known limit. Compare it with one, or mask it: i & 63.",
    ),
    (
        r"invalid mem access 'scalar'|invalid mem access 'inv'",
        "A number is used as an address. Only pointers that the kernel gave may be followed.",
    ),
)
COMPILER = "The compiler does not understand it; its first complaint: {}"
UNKNOWN = "The verifier refused it; its last line says why."


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How far a learner's program came: ``compiler``, ``verifier`` or ``ran``.

    ``words`` say it plainly, ``log`` is what was written; ``maps`` holds its maps' whole numbers after
    ``sent`` packets, ``verdict`` what it says of a packet, ``ns`` its mean time, ``checked``
    how many instructions the verifier walked through.
    """

    stage: str
    words: str
    log: str = field(repr=False)
    sent: int = 0
    verdict: str = ""
    maps: dict[str, dict[str, int]] = field(default_factory=dict)
    ns: float = 0.0
    checked: int = 0

    @property
    def accepted(self) -> bool:
        """Say whether it ran."""
        return self.stage == "ran"

    def __str__(self) -> str:
        if not self.accepted:
            return f"Refused by the {self.stage}. {self.words}"
        return (
            f"Accepted after {self.checked:,} instructions were walked through. {self.sent} packets sent; "
            f"it says {self.verdict}, in {self.ns:.0f} ns. Maps: {self.maps or 'none'}"
        )


def explained(log: str) -> str:
    """Return what a verifier's log means, in a sentence or two."""
    for pattern, meaning in MEANINGS:
        if re.search(pattern, log):
            return meaning
    return UNKNOWN


def verdict(answer: dict[str, Any]) -> Verdict:
    """Make the record of what became of a learner's program."""
    log, stage = answer["log"], answer["stage"]
    if stage == "compiler" and (known := explained(log)) != UNKNOWN:
        return Verdict(stage=stage, words=known, log=log)
    if stage == "compiler":
        errors = re.findall(r"(?:^|\n)[^\n]*?:(\d+):\d+: error: ([^\n]+)", log)
        first = f"line {errors[0][0]}: {errors[0][1]}" if errors else log.strip()[-200:]
        return Verdict(stage=stage, words=COMPILER.format(first), log=log)
    if stage == "verifier":
        return Verdict(stage=stage, words=explained(log), log=log)
    kept = {name: answer[name] for name in ("sent", "verdict", "maps", "ns", "checked")}
    return Verdict(stage=stage, words="Accepted.", log=log, **kept)
