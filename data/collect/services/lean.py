"""Lean: one process.  HTTP in front, four threads that work, a job table in SQLite.

    client -> event loop -> SimpleQueue -> thread 1..4
                  |  INSERT                    |
               SQLite <--- UPDATE --- event loop, then the answer

Only the event loop touches the table, so nothing waits for a lock.  The log is written ahead (WAL),
a commit survives the death of the process, and what is found unfinished at the start is done then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import shared


class Lean:
    """The job table, the queue and the threads."""

    def __init__(self, database: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting: dict[str, asyncio.Future[Any]] = {}
        self.queue: SimpleQueue[str] = SimpleQueue()
        self.table = sqlite3.connect(database, isolation_level=None)  # a statement is a commit
        self.table.execute("PRAGMA journal_mode=WAL")
        self.table.execute("PRAGMA synchronous=NORMAL")
        self.table.execute("CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, result TEXT)")
        for (job,) in self.table.execute("SELECT id FROM jobs WHERE result IS NULL ORDER BY rowid"):
            self.put(job)
        for _ in range(shared.SLOTS):
            threading.Thread(target=self.work, daemon=True).start()

    async def do(self, job: str) -> Any:
        """Accept a job, and wait until it is done."""
        if len(self.waiting) >= shared.MOST_UNFINISHED:
            raise shared.RefusedError("full")
        self.table.execute("INSERT INTO jobs (id) VALUES (?)", (job,))
        return await asyncio.shield(self.put(job))

    def put(self, job: str) -> asyncio.Future[Any]:
        """Queue a job that is in the table."""
        self.waiting[job] = self.loop.create_future()
        shared.stamp("queued", job)
        self.queue.put(job)
        return self.waiting[job]

    def work(self) -> None:
        """Work for ever: what one thread does."""
        shared.be_punctual()
        while job := self.queue.get():
            self.loop.call_soon_threadsafe(self.finish, job, shared.work(job))

    def finish(self, job: str, result: dict[str, Any]) -> None:
        """Store a result, then let it be answered."""
        self.table.execute("UPDATE jobs SET result = ? WHERE id = ?", (json.dumps(result), job))
        self.waiting.pop(job).set_result(result)

    async def look_up(self, job: str) -> Any:
        """Return a stored result, or None."""
        query = "SELECT result FROM jobs WHERE id = ? AND result IS NOT NULL"
        row = self.table.execute(query, (job,)).fetchone()
        return row and json.loads(row[0])


async def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description="The lean service.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", type=Path, required=True)
    options = parser.parse_args()
    lean = Lean(options.database, asyncio.get_running_loop())
    await shared.serve(lean.do, lean.look_up, options.port)


if __name__ == "__main__":
    asyncio.run(main())
