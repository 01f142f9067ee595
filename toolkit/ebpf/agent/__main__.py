"""Serve one client at a time: ``python3 -m agent --line FD``, ``--socket PATH --uid N``, ``--port DEVICE``.

This process holds nothing but the door.  A session is a child with everything in it: when the client is
gone it is killed, when it dies by itself the client is told and gets a new one, and when this process
is killed the kernel kills it too.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

# In a micro-VM every import takes a tenth of a second and more before the hello: the rest comes later.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

LONGEST_LINE = 64 * 1024
MOST_SESSIONS = 200  # of one client whose sessions die


def send(fd: int, message: dict[str, Any]) -> None:
    """Write one line, all of it."""
    line = json.dumps(message).encode() + b"\n"
    while line:
        line = line[os.write(fd, line) :]


def lines(fd: int) -> Any:
    """Yield what comes in, line by line; ``None`` for a line that is too long, which is thrown away."""
    held, too_long = b"", False
    while chunk := os.read(fd, 1 << 16):
        *whole, held = (held + chunk).split(b"\n")
        for line in whole:
            yield None if too_long or len(line) > LONGEST_LINE else line
            too_long = False
        if len(held) > LONGEST_LINE:
            held, too_long = b"", True


def request_in(line: bytes | None) -> dict[str, Any]:
    """Read one request."""
    from .kernel import Refused  # noqa: PLC0415, see above

    if line is None:
        raise Refused(f"a line may have {LONGEST_LINE:,} bytes at most")
    request = json.loads(line)
    if not isinstance(request, dict):
        raise Refused("a request is an object with id, verb and args")
    return request


def answer(session: Any, line: bytes | None) -> dict[str, Any]:
    """Return the answer to one line; whatever it is, the agent lives on."""
    from .kernel import Refused  # noqa: PLC0415, see above
    from .session import obey  # noqa: PLC0415, see above

    number = None
    try:
        request = request_in(line)
        number = request.get("id")
        return {"id": number, "ok": obey(session, request.get("verb"), request.get("args", {}))}
    except (Refused, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        return {"id": number, "refused": str(error) or type(error).__name__}
    except Exception as error:  # noqa: BLE001, what went wrong is told, and the next request is served
        return {"id": number, "error": f"{type(error).__name__}: {error}"}


def serve_session(fd: int, *, own_machine: bool) -> None:
    """Be a session until the client is gone."""
    from .load import die_with_parent  # noqa: PLC0415, see above

    die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # BCC prints
    from .session import Session  # noqa: PLC0415, see above

    session = Session(own_machine=own_machine)
    for line in lines(fd):
        if line is None or line.strip():
            send(fd, answer(session, line))


def new_session(fd: int, *, own_machine: bool) -> int:
    """Fork a session; return its process number."""
    pid = os.fork()
    if not pid:
        try:
            serve_session(fd, own_machine=own_machine)
        except BaseException as error:  # noqa: BLE001, a child must not go on as its parent
            os.write(2, f"session: {error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    return pid


def gone(fd: int) -> bool:
    """Say whether the client hung up; reads nothing."""
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    return any(event & (select.POLLHUP | select.POLLRDHUP) for _, event in poll.poll(0))


def attend(fd: int, others: socket.socket | None = None, *, own_machine: bool = False) -> None:
    """See one client through: sessions until it hangs up; everybody else is told to come later.

    In a machine of its own the line is a virtio port, where one process must not poll while another
    reads: the poll takes what has come out of the ring, and the reader is not woken (seen in 4 of 9 starts
    with two CPUs).  There the session's own end says it.
    """
    send(fd, {"hello": {"kernel": os.uname().release, "pid": os.getpid()}})
    for _ in range(MOST_SESSIONS):
        pid = new_session(fd, own_machine=own_machine)
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            if not own_machine and gone(fd):
                os.kill(pid, signal.SIGKILL)
            turn_away(others)
        if ended[1] == 0 or (not own_machine and gone(fd)):
            return
        send(fd, {"id": None, "error": f"the session died ({_how(ended[1])}); a new one has begun"})


def turn_away(others: socket.socket | None) -> None:
    """Wait a moment; tell whoever comes meanwhile that the lab is in use."""
    if others is None:
        time.sleep(0.02)
    elif select.select([others], [], [], 0.02)[0]:
        second, _ = others.accept()
        with second:
            second.settimeout(1)
            second.sendall(b'{"refused": "the lab is in use by another client"}\n')


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"exit {os.WEXITSTATUS(status)}"


def serve_socket(path: str, uid: int) -> None:
    """Listen on a socket that only one user can open, and check that it is that user all the same."""
    import socket  # noqa: PLC0415, see above

    if os.path.lexists(path):
        os.unlink(path)  # noqa: PTH108, without pathlib
    listener = socket.socket(socket.AF_UNIX)
    old = os.umask(0o177)
    listener.bind(path)
    os.umask(old)
    os.chown(path, uid, -1)
    listener.listen()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        while True:
            client, _ = listener.accept()
            with client:
                if peer_of(client) in (uid, 0):
                    attend(client.fileno(), listener)
                else:
                    client.sendall(b'{"refused": "this lab belongs to another user"}\n')
    finally:
        os.unlink(path)  # noqa: PTH108, without pathlib


def peer_of(client: socket.socket) -> int:
    """Return the user at the other end."""
    import socket  # noqa: PLC0415, see above
    import struct  # noqa: PLC0415, see above

    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("3i", credentials)[1])


def main() -> None:
    """Read the command line and serve."""
    if sys.argv[1:2] == ["--port"] and len(sys.argv) == 3:
        attend(os.open(sys.argv[2], os.O_RDWR), own_machine=True)
        return
    import argparse  # noqa: PLC0415, see above

    parser = argparse.ArgumentParser(prog="agent", description=__doc__.splitlines()[0])
    door = parser.add_mutually_exclusive_group(required=True)
    door.add_argument("--port", help="a device to talk on, in a micro-VM (and nothing else)")
    door.add_argument("--line", type=int, help="an open socket to whoever started it")
    door.add_argument("--socket", help="where to listen")
    parser.add_argument("--uid", type=int, default=os.getuid(), help="who may come to the socket")
    chosen = parser.parse_args()
    if chosen.socket:
        serve_socket(chosen.socket, chosen.uid)
    else:
        attend(chosen.line)


if __name__ == "__main__":
    main()
