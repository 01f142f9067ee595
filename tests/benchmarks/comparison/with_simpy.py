"""The four models in SimPy, as one would write them: a process a job, a Resource, a tuple a job."""

import simpy
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


def start_jobs(env, given: Draws, life):
    """Send the jobs on their way, each after its gap."""
    for job, gap_s in enumerate(given.gaps_s):
        yield env.timeout(gap_s)
        env.process(life(job))


def once(given: Draws, workers: int):
    """Serve each job once."""
    env, records, services_s = simpy.Environment(), [], given.services_s[0]
    servers = simpy.Resource(env, workers)

    def life(job):
        arrived_s = env.now
        with servers.request() as turn:
            yield turn
            started_s = env.now
            yield env.timeout(services_s[job])
        records.append((arrived_s, started_s, env.now))

    env.process(start_jobs(env, given, life))
    env.run()
    return records


def with_retries(given: Draws, workers: int, *, limited: bool):
    """Try again after a pause, at most seven times; where ``limited``, wait for a token first."""
    env, records = simpy.Environment(), []
    servers = simpy.Resource(env, workers)
    services_s, failures, jitters = given.services_s, given.failures, given.jitters
    interval_s, ahead_s, due_s = 1.0 / TOKENS_PER_S, (BURST - 1.0) / TOKENS_PER_S, 0.0

    def token():
        nonlocal due_s
        granted_s = max(env.now, due_s - ahead_s)
        due_s = max(granted_s, due_s) + interval_s
        if granted_s > env.now:
            yield env.timeout(granted_s - env.now)

    def life(job):
        arrived_s = env.now
        if limited:
            yield from token()
        for made in range(TRIES):
            with servers.request() as turn:
                yield turn
                started_s = env.now
                yield env.timeout(services_s[made][job])
            if failures[made][job] >= CHANCE:
                break
            if made + 1 < TRIES:
                yield env.timeout(jitters[made][job] * min(CAP_S, BASE_S * 2.0**made))
        records.append((arrived_s, started_s, env.now, made + 1))

    env.process(start_jobs(env, given, life))
    env.run()
    return records


def program(model: str, jobs: int) -> Program:
    """Return the program for ``model``, its draws made."""
    from comparison import simpy_queues

    given, workers = draws(model, jobs), MODELS[model].workers
    if model in simpy_queues.PROGRAMS:
        return Program(lambda: simpy_queues.PROGRAMS[model](given, workers), sojourns_s)
    if MODELS[model].tries == 1:
        return Program(lambda: once(given, workers), sojourns_s)
    limited = model == "tbretry"
    return Program(lambda: with_retries(given, workers, limited=limited), sojourns_s)
