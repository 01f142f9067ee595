"""A learner's own C, in a micro-VM only: compiled, judged by the verifier, attached, run and timed.

The program is ``int program(struct xdp_md *ctx)``; its maps are read afterwards.  All of it happens in a
process of its own: a compiler can crash on a learner's program, and may never end.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any

from . import kernel, network
from .limiter import Attachment
from .load import FIRST_SOURCE, Load, die_with_parent, last_cpu

if TYPE_CHECKING:
    from .session import Session

MOST_ENTRIES, LONGEST_LOG = 64, 12_000
PATIENCE_S = 60
VERDICTS = ("XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT")


def learn(source: str, packets: int, session: Session) -> dict[str, Any]:
    """Compile, load, attach, send; say how far it came, with the words of whoever said no."""
    session.net, session.flood  # noqa: B018, made here they serve the next program too
    with tempfile.TemporaryFile() as words, tempfile.TemporaryFile() as answer:
        pid = os.fork()
        if not pid:
            _be_the_learner(source, packets, session, words, answer)
        _, status = os.waitpid(pid, 0)
        words.seek(0)
        answer.seek(0)
        log = words.read().decode(errors="replace")[-LONGEST_LOG:]
        said: dict[str, Any] = json.loads(answer.read() or '{"stage": "compiler"}')
    if said["stage"] == "compiler" and os.WIFSIGNALED(status):
        late = os.WTERMSIG(status) == signal.SIGALRM
        log += f"\nit was ended after {PATIENCE_S} s" if late else "\nthe compiler crashed on it"
    return said | {"log": log}


def _be_the_learner(
    source: str, packets: int, session: Session, words: IO[bytes], answer: IO[bytes]
) -> None:
    die_with_parent()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(PATIENCE_S)
    os.dup2(words.fileno(), 2)
    try:
        answer.write(json.dumps(_tried(source, packets, session)).encode())
        answer.flush()
    except OSError as error:
        os.write(2, str(error).encode())
    finally:
        os._exit(0)


def _tried(source: str, packets: int, session: Session) -> dict[str, Any]:
    from bcc import BPF  # noqa: PLC0415, see kernel.py

    flags = [flag for flag in kernel.compile_flags() if flag != "-Wno-everything"]
    try:
        program = BPF(text=source, cflags=flags)
    except Exception:  # noqa: BLE001, BCC raises a bare one
        return {"stage": "compiler"}
    try:
        function = program.load_func("program", BPF.XDP)
    except Exception as error:  # noqa: BLE001, the same
        unknown = "Unknown program" in str(error)
        if unknown:
            os.write(2, b"there is no function `int program(struct xdp_md *ctx)`")
        return {"stage": "compiler" if unknown else "verifier"}
    checked = kernel.instructions_verified(function.fd)
    return {"stage": "ran", "checked": checked} | _run(program, function.fd, packets, session)


def _run(program: Any, fd: int, packets: int, session: Session) -> dict[str, Any]:
    packet = network.udp_packet(FIRST_SOURCE)
    hook = Attachment(fd, "xdp", session.net)
    try:
        session.flood.start(Load(count=packets, seconds=5), session.net, cpu=last_cpu()).wait()
        time.sleep(0.05)
        maps = tables(program)
    finally:
        hook.close()
    said, _ = kernel.run_program(fd, packet)
    name = VERDICTS[said] if said < len(VERDICTS) else str(said)
    ns = kernel.run_program(fd, packet, repeat=100_000)[1]
    return {"sent": session.flood.sent(), "maps": maps, "verdict": name, "ns": ns}


def tables(program: Any) -> dict[str, dict[str, int]]:
    """Return the maps with whole numbers in them, the first entries of each; CPUs are added up."""
    from bcc import lib  # noqa: PLC0415, see kernel.py

    lib.bpf_table_name.restype = ctypes.c_char_p
    found: dict[str, dict[str, int]] = {}
    for number in range(lib.bpf_num_tables(ctypes.c_void_p(program.module))):
        name = lib.bpf_table_name(ctypes.c_void_p(program.module), ctypes.c_ulong(number)).decode()
        try:
            entries = list(program[name].items())[:MOST_ENTRIES]
            found[name] = {str(_number(key)): _number(value) for key, value in entries}
        except Exception:  # noqa: BLE001, S112, a map of something else
            continue
    return found


def _number(value: Any) -> int:
    if isinstance(value, list):
        return sum(_number(part) for part in value)
    return int(getattr(value, "value", value))
