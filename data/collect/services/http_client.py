"""A client for HTTP/1.1 between services, which keeps its connections open; Tornado's keeps none."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import shared

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class HttpClient:
    """Sends requests to one port, each on a connection that no other uses at the time."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.idle: list[Connection] = []

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Send JSON and return status and JSON; an ``OSError`` says that nobody answered.

        A kept connection may have been closed meanwhile: then a new one is tried, so the other side
        may see a request twice.
        """
        while self.idle:
            try:
                return await self.exchange(self.idle.pop(), path, body)
            except (OSError, EOFError):
                continue
        try:
            return await self.exchange(
                await asyncio.open_connection(shared.HOST, self.port), path, body
            )
        except EOFError as error:
            raise ConnectionError("closed without an answer") from error

    async def exchange(self, connection: Connection, path: str, body: Any) -> tuple[int, Any]:
        """Send one request on a connection, read its answer, and keep the connection."""
        reader, writer = connection
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: {shared.HOST}\r\nContent-Length: {len(data)}\r\n\r\n"
        try:
            writer.write(head.encode() + data)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(answer.partition("content-length: ")[2].partition("\r\n")[0])
            content = json.loads(await reader.readexactly(length))
        except BaseException:
            writer.close()
            raise
        if "connection: close" in answer:
            writer.close()
        else:
            self.idle.append(connection)
        return int(answer.split(" ", 2)[1]), content
