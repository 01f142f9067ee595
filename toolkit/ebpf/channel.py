"""Talk with the agent: a line out, a line back, and never a wait without an end."""

from __future__ import annotations

import json
import socket
import time
from typing import Any


class BackendUnavailable(RuntimeError):  # noqa: N818, it says what is, and may be no error
    """The kernel lab cannot be had in that way here; the message says what would help."""


class LabError(RuntimeError):
    """The lab could not do what it was asked for; it is there for the next question."""


class Channel:
    """A connection to an agent."""

    def __init__(self, connection: socket.socket, *, deadline_s: float = 30.0) -> None:
        self._connection, self._held, self._next = connection, b"", 1
        self.hello: dict[str, Any] = self._line(time.monotonic() + deadline_s).get("hello", {})

    def ask(self, verb: str, *, deadline_s: float = 60.0, **arguments: Any) -> dict[str, Any]:
        """Return the agent's answer to one request.

        Raises ``ValueError`` for what the agent refuses, ``LabError`` for what went wrong there, and
        ``BackendUnavailable`` when it is gone or silent for ``deadline_s``.
        """
        number, self._next = self._next, self._next + 1
        request = json.dumps({"id": number, "verb": verb, "args": arguments})
        until = time.monotonic() + deadline_s
        try:
            self._connection.sendall(request.encode() + b"\n")
        except OSError as error:
            raise BackendUnavailable(f"the lab is gone ({error})") from None
        while True:
            answer = self._line(until)
            if answer.get("id") in (number, None):
                return self._judged(answer)

    @staticmethod
    def _judged(answer: dict[str, Any]) -> dict[str, Any]:
        if "ok" in answer:
            return dict(answer["ok"])
        if "refused" in answer:
            raise ValueError(answer["refused"])
        raise LabError(answer.get("error", "an answer without words"))

    def _line(self, until: float) -> dict[str, Any]:
        while b"\n" not in self._held:
            self._connection.settimeout(max(0.001, until - time.monotonic()))
            try:
                chunk = self._connection.recv(1 << 16)
            except TimeoutError:
                raise BackendUnavailable(
                    "the lab does not answer; it was given time enough"
                ) from None
            except OSError as error:
                raise BackendUnavailable(f"the lab is gone ({error})") from None
            if not chunk:
                raise BackendUnavailable("the lab is gone: its end of the line was closed")
            self._held += chunk
        line, self._held = self._held.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer and "id" not in answer:
            raise BackendUnavailable(answer["refused"])
        return answer

    def close(self) -> None:
        """Hang up: the agent ends the session and all that is in it."""
        self._connection.close()
