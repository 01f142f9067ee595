"""The pictures of notebook 03 say what they show, and the panel follows its controls."""

import pytest

import toolkit as tk

retries = tk.panels.retries

LIMITS = {"base_s": 0.005, "cap_s": 2.0}


@pytest.fixture(scope="module")
def two():
    """Return a quiet and a busy load."""
    return retries.spell(loads_per_s=[45, 74], jobs=1_000, seed=1, replications=range(2))


def test_a_spell_has_a_row_a_load_a_policy_and_a_run(two):
    assert len(two) == 2 * 4 * 2
    assert two.query("policy == 'no retries'")["attempts"].eq(1.0).all()
    assert two["done"].between(0, 1).all()
    assert (two["goodput_per_s"] / two["done"]).round(9).isin([45.0, 74.0]).all()


def test_busy_workers_may_do_nothing_useful(two):
    falling = two.query("load_per_s == 74 and policy == '3, full jitter'").mean()

    assert falling["utilisation"] > 0.95
    assert falling["waste"] > 0.6
    assert falling["attempts"] > 2


def test_a_bill_adds_losses_attempts_and_knobs(two):
    means = two.groupby(["policy", "load_per_s"]).mean()
    costs = retries.bill(two, lost=2.0, attempt=0.1, knob=7.0)

    assert list(costs.index) == list(retries.POLICIES)
    for (policy, load), row in means.iterrows():
        of_jobs = 2000 * (1 - row["done"]) + 100 * row["attempts"]
        assert costs.loc[policy, load] == pytest.approx(of_jobs + 7 * retries.KNOBS[policy])


def test_no_retries_win_once_and_lose_once(two):
    costs = retries.bill(two)

    assert costs[45].idxmax() == "no retries"
    assert costs[74].idxmin() == "no retries"


def test_the_fall_is_drawn_with_its_range(two):
    text = retries.fallen(two).text

    assert text.startswith("goodput, jobs/s, from the first to the last offered load, jobs/s")
    assert "no retries 40" in text


@pytest.mark.parametrize(
    ("control", "value", "says"),
    [
        ("failure", 0.4, "no retries 18"),
        ("max_retries", 1, "1 at once"),
        ("run", 2, "no retries 2"),
        ("figure", "utilisation, share", "utilisation, share, from"),
        ("figure", "attempts for each job", "no retries 1 to 1"),
    ],
)
def test_the_panel_follows_every_control(control, value, says):
    panel = retries.retries(jobs=150)
    before = panel.summary
    panel.controls[control].value = value

    assert panel.summary != before
    assert says in panel.summary


def test_a_guess_is_on_the_chart_of_the_study():
    strategies = {"none": None, "full": tk.FullJitter(**LIMITS)}
    table = tk.simulation.study(strategies, clients=[1, 5], replications=2)
    guess = tk.lessons.predict("when?", unit="s", low=0, high=100)
    blank = retries.contended(table, "completion_s", ylabel="s", guess=guess)
    guess._field.value = "5"

    assert "guess" not in blank.text
    assert "your guess 5" in retries.contended(table, "completion_s", ylabel="s", guess=guess).text


def test_jitter_breaks_up_the_crowd():
    strategies = {"exponential": tk.ExponentialBackoff(**LIMITS), "full": tk.FullJitter(**LIMITS)}
    text = retries.collisions(strategies).text

    # those who are left come back together, all but the few who were lucky
    assert "exponential: at most 77 after 2 s; full: at most 6 after 2 s." in text
