"""What is simple is a sum over parts, and the price list decides it."""

import dataclasses

import pytest
from fakes import pool
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk

RETRY = tk.Retry(max_retries=3, backoff=tk.ConstantBackoff(delay_s=0.1))
DESIGNS = {
    "small": pool(4, 100),
    "large": pool(6, 100),
    "careful": pool(4, 100, retry=RETRY, capacity=64),
    "limited": pool(5, 100, limiter=tk.TokenBucket(rate_per_s=500, burst=50)),
}
PARTS = {"worker": "workers", "hop": "hops", "state_store": "state_stores", "knob": "knobs"}
SLO = tk.SLO(p99_s=0.5, success=0.99)


def chosen(prices):
    return tk.advise(
        DESIGNS, slo=SLO, prices=prices, jobs=1_000, replications=5, progress=False
    ).choice


def test_a_bill_adds_up():
    design = dataclasses.replace(pool(4, 60), stages=[pool(4, 60, capacity=9).stages[0]] * 1)
    bill = tk.Prices().bill(design)

    assert bill["a_month"].sum() == pytest.approx(tk.Prices().of(design))
    assert (bill["count"] * bill["each"]).to_list() == bill["a_month"].to_list()
    assert bill.loc["workers", "count"] == 4
    assert bill.loc["knobs", "count"] == 1


def test_every_part_that_can_be_switched_on_is_counted():
    """A part without a price would make overbuilding free."""
    plain = tk.Parts.of(pool(4, 100))
    for name in ("careful", "limited", "large"):
        more = tk.Parts.of(DESIGNS[name])
        assert dataclasses.astuple(more) > dataclasses.astuple(plain), name
    delivered = pool(4, 100, delivery=tk.Delivery(prefetch=1))
    assert tk.Parts.of(delivered).state_stores == 1
    assert tk.Parts.of(delivered).failure_modes == plain.failure_modes + 1  # a store can fail, too


PRICE = st.floats(min_value=1, max_value=500)


@given(st.fixed_dictionaries(dict.fromkeys(PARTS, PRICE)), st.sampled_from(list(PARTS)), PRICE)
@settings(max_examples=15, deadline=None)
def test_what_gets_dearer_is_never_bought_more_of(prices, dearer, by):
    """The direction in which a price moves a verdict (revealed preference; Samuelson 1938)."""
    before = chosen(tk.Prices(**prices))
    after = chosen(tk.Prices(**prices | {dearer: prices[dearer] + by}))
    count = {name: getattr(tk.Parts.of(design), PARTS[dearer]) for name, design in DESIGNS.items()}

    assert count[after] <= count[before]


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(tk.Prices)])
def test_a_price_below_zero_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be >= 0, got -1"):
        tk.Prices(**{name: -1})


def test_a_price_that_is_missing_is_refused():
    with pytest.raises(ValueError, match="hop must be a finite number, got None"):
        tk.Prices(hop=None)
    with pytest.raises(ValueError, match="lines must be >= 0, got -3"):
        tk.Parts(lines=-3)
