"""Start real servers on loopback, wait until they answer, and end them again.

    with redis() as url, running(command, ready=lambda: ..., log=path) as process:
        ...

Every program gets free ports, a temporary folder of its own and a process group of its own, and is
ended by its process id.  Nothing listens on any address but 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

HOST = "127.0.0.1"
RABBITMQ_SCRIPTS = Path("/usr/lib/rabbitmq/bin")
"""Debian's: the command of the same name on the path changes to another user first."""

POLL_S = 0.02


class DidNotStartError(RuntimeError):
    """A program ended, or stayed silent, before it was ready; the message ends with its log."""


def missing(*programs: str) -> str:
    """Say which programs aren't installed, or nothing: the reason for which a test is skipped.

    >>> missing("sh")
    ''
    >>> missing("sh", "no-such-program")
    'not installed: no-such-program'
    """
    absent = [program for program in programs if shutil.which(program) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def free_port() -> int:
    """Return a port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Say whether something accepts connections at a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def wait_until(happened: Callable[[], object], timeout_s: float, what: str = "it") -> None:
    """Return as soon as something happened; raise ``TimeoutError`` if it doesn't in time."""
    deadline = time.monotonic() + timeout_s
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout_s:g} s")
        time.sleep(POLL_S)


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    *,
    ready: int | Callable[[], object],
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    start_s: float = 60,
    stop_s: float = 15,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends, from when it is ready on.

    ``ready`` is the port that shall answer, or a function that says so.  ``env`` is added to this
    process's environment, and what the program prints is appended to ``log``.  At the end the
    program is asked to stop (``SIGTERM``), and what is left of its group is killed.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
    try:
        _wait_for_start(process, ready, log, start_s)
        yield process
    finally:
        end(process, stop_s)


def _wait_for_start(
    process: subprocess.Popen[bytes],
    ready: int | Callable[[], object],
    log: Path,
    start_s: float,
) -> None:
    """Wait until a program is ready; if it isn't, raise with the end of its log."""
    check = (lambda: answers(ready)) if isinstance(ready, int) else ready
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: process.poll() is not None or check(), start_s)
    if process.poll() is not None or not check():
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise DidNotStartError(f"{process.args!r} wasn't ready within {start_s:g} s:\n{tail}")


def end(process: subprocess.Popen[bytes], stop_s: float = 15) -> None:
    """Ask a program to stop, wait, and kill what is left of its group."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(stop_s)
    kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and its children at once, as a crash of their machine would."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(15)


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Run a Redis that stores nothing on disk, and yield its URL."""
    port = free_port()
    command = ("redis-server", "--port", str(port), "--bind", HOST, "--save", "")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with running(command, ready=port, log=folder / "log", cwd=folder):
            yield f"redis://{HOST}:{port}/0"


@contextlib.contextmanager
def rabbitmq() -> Iterator[str]:
    """Run a RabbitMQ node with a port mapper of its own, and yield its URL; takes some 8 s."""
    port, mapper, distribution = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        epmd = ("epmd", "-port", str(mapper), "-address", HOST)
        node = (RABBITMQ_SCRIPTS / "rabbitmq-server",)
        env = rabbitmq_environment(folder, port, mapper, distribution)
        with (
            # In the foreground, so that it ends with us; else the node would leave it behind.
            running(epmd, ready=mapper, log=folder / "epmd.log"),
            running(node, ready=port, log=folder / "log", env=env, cwd=folder),
        ):
            yield f"amqp://guest:guest@{HOST}:{port}//"


def rabbitmq_environment(folder: Path, port: int, mapper: int, distribution: int) -> dict[str, str]:
    """Keep a node inside its folder and on loopback."""
    return {
        "HOME": str(folder),  # where the cookie goes
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": HOST,
        "RABBITMQ_NODENAME": f"rabbit{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": HOST,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "no-such-file"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        # Its schedulers shall sleep, not spin, when there is nothing to do.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
        ),
    }
