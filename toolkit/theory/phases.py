"""Work in phases: M/PH/1, where the whole law of the wait is known.

A service that is a walk through exponential phases (Erlang, a choice of exponentials) has a
residual that is such a walk again, and so has the wait.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit import _check
from toolkit.laws import Array, Exponential, Gamma, HyperExponential, Law
from toolkit.theory.general import MG1, mg1
from toolkit.theory.solve import quantile


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MPH1(MG1):
    """M/G/1 whose service is in phases, and the whole law of its wait.

    ``residual``: the chances of the phase in which an interrupted service is found; ``moves_per_s``:
    the rates between phases while the work ahead is done; ``start`` and ``phases_per_s``: the same of
    a service.
    """

    residual: Array
    moves_per_s: Array
    start: Array
    phases_per_s: Array

    def wait_tail(self, t_s: float) -> float:
        """Return P(wait > ``t_s``)."""
        from scipy.linalg import expm  # noqa: PLC0415, scipy is slow to load

        walk = expm(self.moves_per_s * _check.not_negative("t_s", t_s))
        return self.utilisation * float((self.residual @ walk).sum())

    def wait_quantile_s(self, p: float) -> float:
        """Return the wait in s that a share ``p`` of the jobs does not exceed; 0 <= p < 1."""
        return quantile(self.wait_tail, p, self.sojourn_s)

    def sojourn_tail(self, t_s: float) -> float:
        """Return P(wait + service > ``t_s``): first the phases of the wait, if any, then a service's."""
        from scipy.linalg import expm  # noqa: PLC0415, scipy is slow to load

        served = -self.moves_per_s.sum(axis=1)  # the rates at which a wait ends
        moves = np.block(
            [
                [self.moves_per_s, np.outer(served, self.start)],
                [np.zeros_like(self.moves_per_s), self.phases_per_s],
            ]
        )
        rho = self.utilisation
        first = np.concatenate([rho * self.residual, (1.0 - rho) * self.start])
        return float((first @ expm(moves * _check.not_negative("t_s", t_s))).sum())

    def sojourn_quantile_s(self, p: float) -> float:
        """Return the wait and service in s that a share ``p`` of the jobs does not exceed."""
        return quantile(self.sojourn_tail, p, self.sojourn_s)


def mph1(*, arrival_rate_per_s: float, service: Law) -> MPH1:
    """Solve M/PH/1: means as ``mg1``, the wait of phase type (Neuts 1981, ch. 3).

    P(wait > t) = rho a exp((T + rho t0 a) t) 1, with T the rates between the phases of a service,
    t0 those out of it, and a the law of the phase at a random time of it.
    Raises ``ValueError`` when the server cannot keep up, and for a law that is not exponential,
    hyperexponential or Erlang (``Gamma`` with 1 / scv whole).

    >>> q = mph1(arrival_rate_per_s=0.5, service=Exponential(mean_s=1.0))
    >>> round(q.wait_quantile_s(0.9), 4)  # as M/M/1: 2 log 5
    3.2189
    """
    solved = mg1(arrival_rate_per_s=arrival_rate_per_s, service=service)
    start, moves = _phases(service)
    residual = np.asarray(np.linalg.solve(-moves.T, start) / service.moment(1), dtype=float)
    out = -moves.sum(axis=1)
    fields = {name: getattr(solved, name) for name in MG1.__dataclass_fields__}
    return MPH1(
        **fields,
        residual=residual,
        moves_per_s=moves + solved.utilisation * np.outer(out, residual),
        start=start,
        phases_per_s=moves,
    )


def _phases(law: Law) -> tuple[Array, Array]:
    """Return the chances of the first phase, and the rates between phases in 1/s."""
    match law:
        case Exponential():
            return np.ones(1), np.array([[-1.0 / law.mean_s]])
        case HyperExponential():
            shares, means = np.array(law.branches).T
            return shares, np.diag(-1.0 / means)
        case Gamma() if abs(1.0 / law.scv - round(1.0 / law.scv)) < 1e-9:
            count = round(1.0 / law.scv)
            rate = count / law.mean_s
            return np.eye(count)[0], rate * (np.eye(count, k=1) - np.eye(count))
    raise ValueError(f"service must be exponential, hyperexponential or Erlang, got {law!r}")
