"""The four models in salabim: a component a job, in the style with ``yield``, which is the faster one."""

# ruff: noqa: D102, what the library calls, its documentation explains

import salabim as sim
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

sim.yieldless(False)


class Shop:
    """What all jobs share."""

    def __init__(self, given: Draws, workers: int, *, tries: int, limited: bool) -> None:
        self.env, self.given, self.records = sim.Environment(trace=False), given, []
        self.servers = sim.Resource(capacity=workers, env=self.env)
        self.tries, self.limited, self.due_s = tries, limited, 0.0
        Source(shop=self, env=self.env)

    def run(self):
        """Run to the end; return a record a job."""
        self.env.run()
        return self.records


class Source(sim.Component):
    """Sends the jobs, each after its gap."""

    def setup(self, shop: Shop) -> None:
        self.shop = shop

    def process(self):
        life = Once if self.shop.tries == 1 else Life
        for job, gap_s in enumerate(self.shop.given.gaps_s):
            yield self.hold(gap_s)
            life(shop=self.shop, job=job, env=self.env)


class Once(sim.Component):
    """A job that is served once."""

    def setup(self, shop: Shop, job: int) -> None:
        self.shop, self.job = shop, job

    def process(self):
        shop, arrived_s = self.shop, self.env.now()
        yield self.request(shop.servers)
        started_s = self.env.now()
        yield self.hold(shop.given.services_s[0][self.job])
        self.release()
        shop.records.append((arrived_s, started_s, self.env.now()))


class Life(Once):
    """A job that tries again after a pause."""

    def process(self):
        shop, given, job, arrived_s = self.shop, self.shop.given, self.job, self.env.now()
        if shop.limited:
            granted_s = max(arrived_s, shop.due_s - (BURST - 1.0) / TOKENS_PER_S)
            shop.due_s = max(granted_s, shop.due_s) + 1.0 / TOKENS_PER_S
            if granted_s > arrived_s:
                yield self.hold(granted_s - arrived_s)
        for made in range(TRIES):
            yield self.request(shop.servers)
            started_s = self.env.now()
            yield self.hold(given.services_s[made][job])
            self.release()
            if given.failures[made][job] >= CHANCE:
                break
            if made + 1 < TRIES:
                yield self.hold(given.jitters[made][job] * min(CAP_S, BASE_S * 2.0**made))
        shop.records.append((arrived_s, started_s, self.env.now(), made + 1))


def program(model: str, jobs: int) -> Program:
    """Return the program for ``model``, its draws made."""
    given, shape = draws(model, jobs), MODELS[model]
    options = {"tries": shape.tries, "limited": model == "tbretry"}
    return Program(lambda: Shop(given, shape.workers, **options).run(), sojourns_s)
