"""What compilers and verifiers write becomes plain words."""

import pytest

from toolkit.ebpf.verdict import COMPILER, MEANINGS, UNKNOWN, explained, verdict

# last lines of logs of Linux 6.1 and 6.18, as written
LOGS = {
    "invalid access to packet, off=12 size=1, R1(id=0,off=12,r=0)": "may not be there",
    "R1 invalid mem access 'map_value_or_null'": "Test the pointer",
    "1: (55) if r0 != 0x0 goto pc-2 infinite loop detected at insn 0": "fixed number of turns",
    "back-edge from insn 5 to 2": "fixed number of turns",
    "BPF program is too large. Processed 1000001 insn": "million steps",
    "bpf: Argument list too long. Program  too large (15 insns), at most 4096 insns": "million steps",
    "Looks like the BPF stack limit of 512 bytes is exceeded. Please move": "512 bytes of stack",
    "0: (95) exit\nR0 !read_ok": "without a return value",
    "invalid access to map value, value_size=8 off=800 size=8": "past the end of a map",
    "unknown func bpf_probe_write_user#36": "may not call",
    "R2 unbounded memory access, make sure to bounds check any such access": "no known limit",
    "R1 invalid mem access 'scalar'": "used as an address",
    "unreachable insn 3": "can never run",
}


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log[-30:])
def test_a_verifiers_log_has_a_plain_meaning(log):
    assert LOGS[log] in explained(log)


def test_a_log_that_nobody_knows_is_not_explained_away():
    assert explained("R7 has a cold") == UNKNOWN
    assert len({words for _, words in MEANINGS}) == len(MEANINGS)


def test_a_refusal_of_the_verifier_keeps_its_log_beside_the_words():
    said = verdict({"stage": "verifier", "log": "0: (95) exit\nR0 !read_ok"})

    assert not said.accepted
    assert (
        str(said)
        == "Refused by the verifier. The program ends without a return value on some path."
    )
    assert "R0 !read_ok" in said.log


def test_the_compilers_first_complaint_is_quoted():
    log = "/virtual/main.c:3:7: error: use of undeclared identifier 'XDP_PAS'\n  1 error generated."
    said = verdict({"stage": "compiler", "log": log})

    assert said.words == COMPILER.format("line 3: use of undeclared identifier 'XDP_PAS'")


def test_a_compiler_that_says_nothing_known_is_quoted_as_it_is():
    assert "crashed" in verdict({"stage": "compiler", "log": "the compiler crashed on it"}).words


def test_an_accepted_program_tells_what_it_did():
    answer = {"stage": "ran", "log": "", "sent": 23, "verdict": "XDP_PASS", "ns": 21.4}
    said = verdict(answer | {"maps": {"seen": {"0": 23}}, "checked": 11})

    assert said.accepted
    assert "11 instructions" in str(said)
    assert said.maps["seen"]["0"] == said.sent == 23
