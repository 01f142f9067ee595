"""Money against what it buys: two halves with futures, one without."""

import pytest
from fakes import pool

import toolkit as tk


@pytest.mark.parametrize("futures", [None, {"load x2": tk.Future(load=2)}])
def test_the_lower_half_shows_futures_where_there_are_any(futures):
    designs = {f"{n} workers": pool(n, 100) for n in (3, 4, 8)}
    slo = tk.SLO(p99_s=0.2)
    advice = tk.advise(designs, slo=slo, futures=futures, jobs=500, replications=3, progress=False)
    picture = tk.panels.frontier(advice)

    assert "in p99:" in picture.text
    assert ("in futures stood:" in picture.text) == (futures is not None)
    assert picture.png.startswith(b"\x89PNG")


def test_a_ceiling_alone_shows_what_is_stood():
    advice = tk.advise(
        {"a": pool(3, 60)}, slo=tk.SLO(cost=900), jobs=200, replications=2, progress=False
    )

    assert "in futures stood:" in tk.panels.frontier(advice).text
