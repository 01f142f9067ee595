"""Three of the models in Ciw: a node of workers, and one where jobs pause that will try again.

A token bucket has no place in a Ciw network, so that model is left out.
"""

from collections import defaultdict
from math import inf

import ciw
import numpy as np
from comparison.models import BASE_S, CAP_S, CHANCE, MODELS, TRIES, Draws, Program, draws


class Services(ciw.dists.Distribution):
    """The service time of a job's next try."""

    def __init__(self, given: Draws) -> None:
        self.given = given

    def __deepcopy__(self, memo):
        """Return one for each node that uses it; the draws are the same."""
        return type(self)(self.given)

    def sample(self, t=None, ind=None):  # noqa: ARG002, Ciw names them so
        """Return it, in seconds."""
        ind.made = getattr(ind, "made", -1) + 1
        return self.given.services_s[ind.made][ind.id_number - 1]


class Pauses(Services):
    """The pause after a try that failed."""

    def sample(self, t=None, ind=None):  # noqa: ARG002
        """Return it, in seconds."""
        limit_s = min(CAP_S, BASE_S * 2.0**ind.made)
        return self.given.jitters[ind.made][ind.id_number - 1] * limit_s


class Verdict(ciw.routing.NodeRouting):
    """Where a job goes after a try."""

    def __init__(self, given: Draws) -> None:
        self.given = given

    def next_node(self, ind):
        """Return the pause's node for another try, or the exit."""
        failed = self.given.failures[ind.made][ind.id_number - 1] < CHANCE
        return self.simulation.nodes[2 if failed and ind.made + 1 < TRIES else -1]


def once(given: Draws, workers: int):
    """Serve each job once."""
    return ciw.create_network(
        arrival_distributions=[ciw.dists.Sequential([*given.gaps_s, inf])],
        service_distributions=[ciw.dists.Sequential(given.services_s[0])],
        number_of_servers=[workers],
    )


def with_retries(given: Draws, workers: int):
    """Try again after a pause."""
    routers = [Verdict(given), ciw.routing.Direct(to=1)]
    return ciw.create_network(
        arrival_distributions=[ciw.dists.Sequential([*given.gaps_s, inf]), None],
        service_distributions=[Services(given), Pauses(given)],
        number_of_servers=[workers, inf],
        routing=ciw.routing.NetworkRouting(routers=routers),
    )


def simulate(network, jobs: int):
    """Run until all have left; Ciw keeps a record a visit."""
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(jobs, method="Finish")
    return simulation


def sojourns_s(simulation) -> np.ndarray:
    """Return the sojourn times in order of arrival."""
    visits = defaultdict(list)
    for record in simulation.get_all_records():
        visits[record.id_number].append(record)
    return np.array(
        [
            max(record.exit_date for record in visits[k])
            - min(record.arrival_date for record in visits[k])
            for k in sorted(visits)
        ]
    )


def program(model: str, jobs: int) -> Program:
    """Return the program for ``model``, its draws made."""
    given, shape = draws(model, jobs), MODELS[model]
    network = (once if shape.tries == 1 else with_retries)(given, shape.workers)
    return Program(lambda: simulate(network, jobs), sojourns_s)
