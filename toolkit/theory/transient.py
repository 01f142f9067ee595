"""How a queue that starts empty fills up: the warm-up of M/M/1, exactly."""

from __future__ import annotations

import math

import numpy as np

from toolkit import _check


def mm1_jobs_at(t_s: float, *, arrival_rate_per_s: float, service_rate_per_s: float) -> float:
    """Return the mean number of jobs in M/M/1, ``t_s`` after it started empty; any load.

    Uniformisation (Jensen 1953): events of a Poisson stream of rate lambda + mu are arrivals
    or departures by lot, and after n of them no more than n jobs can be inside, so that no state is cut
    off.  For the time scale see Abate & Whitt (1987).  Raises ``ValueError`` for a
    negative time, and where a rate is not above 0.

    >>> round(mm1_jobs_at(5.0, arrival_rate_per_s=0.8, service_rate_per_s=1.0), 4)
    1.4695
    """
    from scipy.stats import poisson  # noqa: PLC0415, scipy is slow to load

    rate = _check.positive("arrival_rate_per_s", arrival_rate_per_s)
    speed = _check.positive("service_rate_per_s", service_rate_per_s)
    events = _check.not_negative("t_s", t_s) * (rate + speed)
    most = math.ceil(events + 12.0 * math.sqrt(events)) + 40
    up = rate / (rate + speed)
    chances, means = np.zeros(most + 2), np.zeros(most + 1)
    chances[0] = 1.0
    for n in range(most):
        means[n + 1] = means[n] + up - (1.0 - up) * (1.0 - chances[0])
        empty = chances[0]
        chances[:-1] = (1.0 - up) * np.append(chances[1:-1], 0.0) + up * np.append(
            0.0, chances[:-2]
        )
        chances[0] += (1.0 - up) * empty
    return float(poisson.pmf(np.arange(most + 1), events) @ means)
