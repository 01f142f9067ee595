"""What a run frees is there for the next: a third run of the same size needs hardly any new pages."""

import subprocess
import sys

import pytest

from toolkit.simulation import heap

RUNS = """
import resource
import toolkit as tk
from toolkit.simulation import engines

if not {told}:
    engines.keep_what_is_freed = lambda: False
stage = tk.Stage(name="work", service=tk.Exponential(mean_s=0.8), failure=0.2, retry=tk.Retry(max_retries=2, backoff=tk.ConstantBackoff(delay_s=1.0)))
design = tk.Design(arrivals=tk.Poisson(rate_per_s=1.0), stages=[stage])
pages = []
for seed in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    run = tk.simulate(design, jobs=200_000, seed=seed, engine="compiled")  # the last one lives meanwhile
    pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(pages[2:]))
"""


def new_pages(*, told):
    """Return how many pages of new memory the third, fourth and fifth run of a process need."""
    code = RUNS.format(told=told)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(
    not heap.keep_what_is_freed(), reason="this C library cannot be told to keep memory"
)
def test_a_later_run_takes_the_memory_of_an_earlier_one():
    assert new_pages(told=True) < new_pages(told=False) / 4
