"""The pools, batches, spares and copies of notebook 09: formula and simulator agree, and prices add up."""

import math

import numpy as np
import pytest

import toolkit as tk

slack, pools, batching = tk.panels.slack, tk.panels.pools, tk.panels.batching
redundancy, thrift = tk.panels.redundancy, tk.panels.thrift


def within_four_errors(values, expected):
    """Say whether the mean of independent values lies within four standard errors of what is expected."""
    mean, errors = tk.panels.repeated.mean_and_four_errors(values)
    assert errors > 0
    return abs(mean - expected) <= errors


def runs(design, *, jobs, warmup=0, replications=20, seed=3):
    for k in range(replications):
        yield tk.simulate(design, jobs=jobs, seed=seed, replication=k), warmup


# --- pools ---


def test_four_errors_are_four():
    assert tk.panels.repeated.mean_and_four_errors([1.0, 3.0]) == (2.0, 4.0)


@pytest.mark.parametrize(("load", "workers"), [(144, 9), (152, 8), (18, 1), (400, 22)])
def test_the_share_of_jobs_below_the_p99_of_the_formula_is_99_in_100(load, workers):
    """A share has no bias; a percentile of a run has a little.  The fuller, the longer it takes."""
    level_ms = pools.busy(load, workers=[workers])["p99_ms"].iloc[0]
    warmup = pools.warmup_jobs(load * pools.SERVICE_S / workers)
    design = pools.pool(load, workers)
    shares = [
        (run.done_ms()[skip:] <= level_ms).mean()
        for run, skip in runs(design, jobs=20_000 + 30 * warmup, warmup=warmup)
    ]

    assert within_four_errors(shares, 0.99)


def test_the_price_is_the_workers_and_the_room_is_what_is_left():
    table = pools.busy(152, workers=[8, 10], worker=7.0)

    assert table["a_month"].tolist() == [56.0, 70.0]
    assert (152 * (1 + table["room"])).tolist() == pytest.approx([8 / 0.05, 10 / 0.05])
    assert table["p99_ms"].is_monotonic_decreasing


def test_the_waits_of_both_witnesses_agree():
    table = pools.waits(152, workers=[8, 9, 12], jobs=60_000, seed=5)

    assert ((table["formula"] - table["simulated"]).abs() <= table["4 errors"]).all()


def test_the_waits_by_arrangement_agree_where_there_is_a_formula():
    table = pools.arrangements(144, workers=8, jobs=30_000, seed=5)
    known = table.dropna(subset=["formula"])

    assert list(known.index) == [
        "own queues, a random one",
        "own queues, each in turn",
        "one queue for all",
    ]
    assert ((known["formula"] - known["simulated"]).abs() <= known["4 errors"]).all()
    assert table["simulated"].sort_values(ascending=False).index.tolist() == [
        "own queues, a random one",
        "own queues, each in turn",
        "own queues, the shortest",
        "one queue for all",
    ]


def test_queues_of_their_own_need_just_so_many_workers_to_be_as_quick():
    needed = int(pools.arrangements(144, workers=8, jobs=4_000)["as quick"].iloc[0])
    goal_s = pools.p99_s(144, 8)

    assert pools.p99_s(144 / needed, 1) <= goal_s < pools.p99_s(144 / (needed - 1), 1)


def test_keeping_apart_moves_the_wait_and_more_workers_remove_it():
    table = pools.kept_apart(together=[12, 14], apart=[(7, 5)], worker=2.0)

    assert table.loc["7 and 5 apart", "quick"] < table.loc["12 for both", "quick"] / 5
    assert table.loc["7 and 5 apart", "long"] > 5 * table.loc["12 for both", "long"]
    assert table.loc["14 for both", "long"] < table.loc["12 for both", "long"] / 2
    assert table["a_month"].tolist() == [24.0, 28.0, 24.0]


@pytest.mark.parametrize(("load", "workers"), [(10, 14), (100, 111)])
def test_at_most_a_fifth_wait_with_the_workers_of_the_square_root(load, workers):
    row = pools.staffing([load], prob_wait=0.2).loc[load]
    exact = tk.theory.erlang_c(load, workers)
    design = pools.pool(load / pools.SERVICE_S, workers)
    warmup = pools.warmup_jobs(load / workers)
    shares = [
        (run.records.waits_s()[skip:] > 0).mean()
        for run, skip in runs(design, jobs=warmup + 10_000, warmup=warmup)
    ]

    assert row["workers"] == workers
    assert exact <= 0.2 < tk.theory.erlang_c(load, workers - 1)
    assert within_four_errors(shares, exact)


def test_a_rule_of_one_utilisation_is_short_for_the_small_and_dear_for_the_large():
    costs = pools.staffing([10, 1_000], rule=0.8, worker=10.0)["rule_costs"]

    assert costs.tolist() == [10 * (13 - 14), 10 * (1250 - 1034)]


def test_the_cheapest_pool_is_cheaper_than_its_neighbours_and_moves_with_the_prices():
    """The bill is worked out again here, from the share of slow jobs."""

    def bill(workers, price, worker):
        solved = tk.theory.mmc(arrival_rate_per_s=160, service_rate_per_s=20, servers=workers)
        return worker * workers + price * pools.MONTH_S * 160 * solved.sojourn_tail(0.5)

    table = pools.cheapest([8], slow=[1e-4, 1e-3, 1e-2], worker=36.0)
    for price in table.columns:
        best = round(8 / table.loc[8, price])
        least = min(range(9, 40), key=lambda n: bill(n, price, 36.0))
        assert best == least

    assert table.loc[8].is_monotonic_decreasing
    dear = pools.cheapest([8], slow=[1e-3], worker=3_600.0)
    assert dear.loc[8, 1e-3] > table.loc[8, 1e-3]


# --- batches ---


@pytest.mark.parametrize(
    ("items_per_s", "batch"), [(10, 1), (10, 10), (40, 1), (40, 5), (200, 10), (200, 20)]
)
def test_the_time_of_an_item_agrees_with_the_formula(items_per_s, batch):
    times_s = [
        batching.item_times_s(items_per_s, batch, items=30_000, seed=2, replication=k)[
            5_000:
        ].mean()
        for k in range(20)
    ]

    assert within_four_errors(times_s, batching.latency_s(items_per_s, batch))


def test_only_batches_that_keep_up_are_in_the_table():
    table = batching.batches(200, [1, 5, 6, 7, 20], replications=2)

    assert list(table.index) == [7, 20]
    assert (table["most_per_s"] * table["busy"]).tolist() == pytest.approx([200, 200])


def test_the_best_batch_grows_with_the_load():
    text = batching.over_size([10, 40, 200]).text

    assert "10 items/s (best: 1) 28.2" in text
    assert "40 items/s (best: 2)" in text
    assert "200 items/s (best: 13)" in text


# --- a spare, a copy, a try ---


def test_a_dead_worker_takes_its_share_and_no_job():
    run = tk.simulate(redundancy.dying(60, 4, down_s=100.0), jobs=12_000, seed=1)
    attempts = run.attempts
    away = attempts["started_s"].between(redundancy.DIES_AT_S + 1, redundancy.DIES_AT_S + 99)

    assert (run.jobs["outcome"] == "done").all()
    assert attempts.loc[away, "worker"].nunique() == 3
    assert attempts["worker"].nunique() == 4


def test_the_longest_wait_without_a_spare_is_that_of_a_fluid():
    """A law of large numbers: so the load is far above what is left, and the spell long."""
    fluid_s = redundancy.longest_wait_s(75, 4, down_s=200.0)
    waits_s = [
        tk.simulate(redundancy.dying(75, 4, down_s=200.0), horizon_s=1_200, seed=4, replication=k)
        .jobs["wait_s"]
        .max()
        for k in range(20)
    ]

    assert fluid_s == pytest.approx(200 * (1 - 60 / 75))
    assert np.mean(waits_s) == pytest.approx(fluid_s, rel=0.1)


def test_the_first_spare_saves_the_late_jobs_and_the_second_has_none_to_save():
    table = redundancy.spares(68, workers=[4, 5, 6], worker=10.0, replications=3)

    assert table["late"].tolist()[1:] == [0, 0]
    assert table["late"][4] > 5_000
    assert table["a_month"].tolist() == [40.0, 50.0, 60.0]
    assert table["busy_without"].tolist() == pytest.approx([3.4 / 3, 3.4 / 4, 3.4 / 5])


@pytest.mark.parametrize("slow", ["attempt", "job"])
@pytest.mark.parametrize("way", list(redundancy.WAYS))
def test_without_waiting_a_second_copy_does_what_the_formula_says(way, slow):
    """Busy to 2%, nobody waits; the share of jobs below the formula's p99 is 99 in 100."""
    level_ms = 1000 * redundancy.hedged_p99_s(way, slow=slow)
    design = redundancy.hedged(way, utilisation=0.02, slow=slow)
    shares = [(run.done_ms() <= level_ms).mean() for run, _ in runs(design, jobs=5_000)]

    assert within_four_errors(shares, 0.99)


def test_one_in_twenty_attempts_takes_longer_than_the_hedge_waits():
    assert redundancy._tail(redundancy.HEDGE_S) == pytest.approx(0.05, abs=5e-4)


def test_a_second_copy_pays_in_a_calm_pool_and_melts_a_busy_one():
    calm = redundancy.hedges(0.3, worker=1.0, jobs=10_000, replications=2)
    busy = redundancy.hedges(0.7, worker=1.0, jobs=10_000, replications=2)
    late, cancelled = "a second after p95", "the same, loser cancelled"

    assert calm.loc[late, "by attempt"] < calm.loc["one copy", "by attempt"] / 3
    assert calm.loc[late, "by job"] > 2 * calm.loc[late, "by attempt"]
    assert busy.loc[late, "by attempt"] > 5 * busy.loc["one copy", "by attempt"]
    assert busy.loc[cancelled, "by attempt"] < busy.loc["one copy", "by attempt"] / 3
    assert calm.loc["one copy", "extra_a_month"] == 0
    assert calm.loc[cancelled, "extra_a_month"] < 0 < calm.loc[late, "extra_a_month"]
    assert calm.loc["two at once", "extra_a_month"] == pytest.approx(10, abs=1)


def test_the_picture_of_the_melting_says_where_it_ends():
    text = redundancy.melting([0.2, 0.7], jobs=4_000, replications=1).text

    assert "one copy" in text
    assert "two at once" in text


@pytest.mark.parametrize("timeout_s", [0.05, 0.1, 0.15])
def test_tries_are_as_planned_where_nobody_waits(timeout_s):
    design = redundancy.hasty(timeout_s, workers=100, utilisation=0.2)
    tries = [run.records.job.size / 4_000 for run, _ in runs(design, jobs=4_000)]

    assert within_four_errors(tries, redundancy.hasty_attempts(timeout_s))


def test_a_hasty_try_again_more_than_doubles_the_load_of_a_small_pool():
    table = redundancy.haste([0.15, 0.25], workers=4, utilisation=0.5)

    assert table.loc["150 ms", "planned"] < 1.06
    assert table.loc["150 ms", "tries"] > 2
    assert table.loc["250 ms", "tries"] < 1.02


# --- pairs ---


@pytest.mark.parametrize("workers", [9, 10, 12])
def test_a_recovery_takes_the_backlog_over_the_spare_capacity(workers):
    found_s = thrift.recoveries_s(workers, seed=2)

    assert within_four_errors(found_s, thrift.fluid_recovery_s(workers))


@pytest.mark.parametrize("hops", [0, 6])
def test_hops_add_their_formula_and_nothing_else(hops):
    sojourns_s = [
        run.done_ms()[skip:].mean() / 1000
        for run, skip in runs(thrift.hopped(hops), jobs=10_000, warmup=1_000)
    ]

    assert within_four_errors(sojourns_s, thrift.hopped_formula_s(hops))


def test_the_capped_queue_turns_away_what_the_formula_says():
    exact = tk.theory.mmck(
        arrival_rate_per_s=100.0, service_rate_per_s=20.0, servers=4, capacity=12
    )
    work = tk.Stage(name="work", service=pools.WORK["exponential"], workers=4, capacity=12)
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=100.0), stages=[work])
    refused = [
        (run.jobs["outcome"] == "rejected").iloc[skip:].mean()
        for run, skip in runs(design, jobs=6_000, warmup=500)
    ]

    assert within_four_errors(refused, exact.prob_blocked)
    assert thrift.capped_p99_s(12) < 0.5
    assert thrift.capped_p99_s(None) > 60


def test_looks_cost_by_their_number():
    """Three idle workers on average, a look a second: 7.9 million a month."""
    assert thrift.polls_a_month(1.0) == pytest.approx(3 * 730 * 3600 / 1e6 * 0.4)
    assert thrift.polls_a_month(0.01) == pytest.approx(100 * thrift.polls_a_month(1.0))


@pytest.fixture(scope="module")
def pairs():
    prices = tk.Prices(worker=10.0, hop=5.0, deploy_unit=3.0, failure_mode=2.0)
    return {"wins": thrift.wins(prices=prices), "waste": thrift.waste(prices=prices)}


@pytest.mark.parametrize("name", ["wins", "waste"])
def test_every_idea_is_a_pair_with_one_figure(pairs, name):
    by_idea = pairs[name].groupby("idea", sort=False)

    assert (by_idea.size() == 2).all()
    assert (by_idea["figure"].nunique() == 1).all()


def test_what_looks_wasteful_is_better_or_cheaper(pairs):
    for idea, pair in pairs["wins"].groupby("idea"):
        (lean, plump), (lean_price, plump_price) = pair["value"], pair["a_month"]

        assert plump < lean or plump_price <= lean_price, idea


def test_what_is_waste_costs_no_less_and_brings_next_to_nothing(pairs):
    for idea, pair in pairs["waste"].groupby("idea"):
        (lean, plump), (lean_price, plump_price) = pair["value"], pair["a_month"]

        assert plump_price >= lean_price, idea
        if idea == "retries without a budget":
            assert plump < lean / 2  # a share of jobs done: less is worse
        elif idea == "polling faster than needed":
            assert lean - plump < 0.5
        else:
            assert plump > 0.99 * lean


def test_hops_are_paid_for_with_all_that_each_brings(pairs):
    prices = pairs["waste"].loc["hops that do nothing", "a_month"]

    assert prices.tolist() == [80.0, 80.0 + 6 * (10.0 + 5.0 + 3.0 + 2.0)]


# --- the panel ---


@pytest.mark.parametrize(
    ("control", "value", "says"),
    [
        ("load", 180, "180/s on 12 workers in 1 queue: 75% busy, 432 dollars a month"),
        ("spare", 0, "152/s on 8 workers in 1 queue: 95% busy, 288 dollars a month"),
        ("queues", 8, "152/s on 16 workers in 8 queues: 48% busy"),
        ("work", "heavy (scv 4)", "p99 536 ms"),
    ],
)
def test_the_panel_follows_every_control(control, value, says):
    panel = slack.slack(jobs=2_000)
    before = panel.summary
    panel.controls[control].value = value

    assert panel.summary != before
    assert says in panel.summary


@pytest.mark.parametrize("queues", [1, 8])
def test_the_curves_have_a_pool_that_keeps_up_at_every_load(queues):
    for load in range(10, 401, 2):
        curves = slack._curves(load, queues, 1.0)

        assert len(curves) == len({1, queues})
        for price, ms in curves.values():
            assert math.floor(load * 0.05) < price[0]
            assert (np.diff(ms) < 1e-9).all()


def test_a_guess_is_on_the_panel():
    guess = tk.lessons.predict("how long?", unit="ms", low=50, high=100_000)
    panel = slack.slack(guess=guess, jobs=1_000)
    assert "guess" not in panel.summary
    guess._field.value = "500"

    assert "your guess 500" in panel.summary
