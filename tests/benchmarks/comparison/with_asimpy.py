"""The four models in asimpy: a process a job, written with ``await``."""

# ruff: noqa: D102, what the library calls, its documentation explains

from asimpy import Environment, Process, Resource
from comparison.models import (
    BASE_S,
    BURST,
    CAP_S,
    CHANCE,
    MODELS,
    TOKENS_PER_S,
    TRIES,
    Draws,
    Program,
    draws,
    sojourns_s,
)


class Shop:
    """What all jobs share."""

    def __init__(self, given: Draws, workers: int, *, tries: int, limited: bool) -> None:
        self.env, self.given, self.records = Environment(), given, []
        self.servers = Resource(self.env, workers)
        self.tries, self.limited, self.due_s = tries, limited, 0.0
        Source(self.env, self)

    def run(self):
        """Run to the end; return a record a job."""
        self.env.run()
        return self.records


class Source(Process):
    """Sends the jobs, each after its gap."""

    def init(self, shop: Shop) -> None:
        self.shop = shop

    async def run(self) -> None:
        life = Once if self.shop.tries == 1 else Life
        for job, gap_s in enumerate(self.shop.given.gaps_s):
            await self.timeout(gap_s)
            life(self._env, self.shop, job)


class Once(Process):
    """A job that is served once."""

    def init(self, shop: Shop, job: int) -> None:
        self.shop, self.job = shop, job

    async def run(self) -> None:
        shop, arrived_s = self.shop, self.now
        async with shop.servers:
            started_s = self.now
            await self.timeout(shop.given.services_s[0][self.job])
        shop.records.append((arrived_s, started_s, self.now))


class Life(Once):
    """A job that tries again after a pause."""

    async def run(self) -> None:
        shop, given, job, arrived_s = self.shop, self.shop.given, self.job, self.now
        if shop.limited:
            granted_s = max(self.now, shop.due_s - (BURST - 1.0) / TOKENS_PER_S)
            shop.due_s = max(granted_s, shop.due_s) + 1.0 / TOKENS_PER_S
            if granted_s > self.now:
                await self.timeout(granted_s - self.now)
        for made in range(TRIES):
            async with shop.servers:
                started_s = self.now
                await self.timeout(given.services_s[made][job])
            if given.failures[made][job] >= CHANCE:
                break
            if made + 1 < TRIES:
                await self.timeout(given.jitters[made][job] * min(CAP_S, BASE_S * 2.0**made))
        shop.records.append((arrived_s, started_s, self.now, made + 1))


def program(model: str, jobs: int) -> Program:
    """Return the program for ``model``, its draws made."""
    given, shape = draws(model, jobs), MODELS[model]
    options = {"tries": shape.tries, "limited": model == "tbretry"}
    return Program(lambda: Shop(given, shape.workers, **options).run(), sojourns_s)
