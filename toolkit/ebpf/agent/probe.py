"""What this kernel can do, found by doing it once."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from . import measure, network
from .limiter import HOOKS, Attachment
from .load import Load, last_cpu

if TYPE_CHECKING:
    from .session import Session


def probe(session: Session) -> dict[str, str]:
    """Return what works (an empty text) and what does not (the reason), by what it is good for."""
    trials: dict[str, Callable[[], object]] = {
        "compiling for the kernel": lambda: session.limiter,
        "frames made by the kernel": partial(_send, session),
        "nftables": partial(_refuse, "nftables", session),
        "iptables hashlimit": partial(_refuse, "iptables-hashlimit", session),
        "packets that wait (fq)": partial(_queue, session),
        "tracepoints": partial(_exists, "/sys/kernel/tracing/events/sched"),
        "kprobes": partial(_exists, "/sys/bus/event_source/devices/kprobe"),
    }
    trials |= {f"the limiter at {hook}": partial(_attach, hook, session) for hook in HOOKS}
    return {name: _tried(trial) for name, trial in trials.items()}


def _tried(trial: Callable[[], object]) -> str:
    try:
        trial()
    except Exception as error:  # noqa: BLE001, whatever it is, it is the reason
        return str(error).replace("\n", " ")[:120] or type(error).__name__
    return ""


def _attach(hook: str, session: Session) -> None:
    kind = "tc" if hook.startswith("tc") else "xdp"
    Attachment(session.limiter.function(f"limit_{kind}").fd, hook, session.net).close()


def _send(session: Session) -> None:
    session.flood.start(Load(count=23), session.net, cpu=last_cpu()).wait()
    time.sleep(0.01)
    if session.flood.sent() != 23:
        raise OSError(f"{session.flood.sent()} of 23 packets were sent")


def _refuse(rung: str, session: Session) -> None:
    undo = measure.refuse_at(rung, session)
    undo()


def _queue(session: Session) -> None:
    with session.net.at_client():
        network.run("tc", "qdisc", "replace", "dev", network.CLIENT, "root", "fq")
        network.run("tc", "qdisc", "del", "dev", network.CLIENT, "root")


def _exists(path: str) -> None:
    if not Path(path).exists():
        raise OSError(f"there is no {path}")
