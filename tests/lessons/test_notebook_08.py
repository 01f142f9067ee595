"""Notebook 08 as a learner meets it: a wrong idea gets its own hint, prose says what was measured."""

import pytest
from exercises import Book

import toolkit as tk

BOOK = Book("08")
OFTEN = BOOK.given("often")


def test_no_price_is_set_as_mathematics():
    """Between two dollar signs a browser sets Markdown as a formula."""
    assert "$" not in BOOK.prose


def price_from():
    bills = tk.twins.total(failed=0, often=OFTEN)["parts"]
    fails = tk.twins.month(**OFTEN)["failed"]
    return bills, fails, (bills["overbuilt"] - bills["lean"]) / (fails["lean"] - fails["overbuilt"])


def hint(question, given, **evidence):
    feedback = tk.lessons.check(question, given, **evidence)

    assert not feedback
    return feedback.text


def test_a_wrong_idea_gets_its_own_hint():
    processor_s = tk.twins.twin("overbuilt").processor_s
    crash = {"rate_per_s": 80, "away_s": 3, "inside": 20}
    bills, fails, right = price_from()

    full = {"service": "overbuilt"}
    assert "share one processor" in hint("08-1 processor full", 4 / processor_s, **full)
    assert "fit into a second" in hint("08-1 processor full", 1000 * processor_s, **full)
    assert "factor of a thousand" in hint("08-1 processor full", 0.001 / processor_s, **full)
    assert "when is it 1" in hint("08-1 processor full", 50, **full)
    assert "inside already" in hint("08-2 failed in a crash", 240, **crash)
    assert "more come" in hint("08-2 failed in a crash", 20, **crash)
    assert "how many were inside" in hint("08-2 failed in a crash", 99, **crash)
    often = {"often": OFTEN}
    assert "upside down" in hint("08-3 pays from", 1 / right, **often)
    dearer = bills["overbuilt"] - bills["lean"]
    assert "take the difference" in hint("08-3 pays from", dearer / fails["lean"], **often)
    assert "dearer by a month" in hint("08-3 pays from", 50, **often)
    assert "no price makes it pay" in hint("08-3 pays from", 1, often={"work_deaths": 0.0})


def test_at_the_price_of_the_exercise_both_cost_the_same():
    """The answer that is checked against is where the two lines of the picture cross."""
    *_, right = price_from()
    month = tk.twins.total(failed=right, often=OFTEN)["a_month"]

    assert month["lean"] == pytest.approx(month["overbuilt"])


def test_the_prose_says_what_was_measured():
    """Numbers that stand in sentences, worked out again from the data."""
    table, seen = tk.twins.figures(), tk.twins.incidents()
    steady = table[table["scenario"].str.startswith("steady")].set_index(["scenario", "service"])
    p50, p99 = (steady[figure].unstack() for figure in ("p50", "p99"))
    quiet = p50.loc[["steady-020", "steady-060"]]
    dearer_ms = quiet[["celery", "overbuilt"]].sub(quiet["lean"], axis="index").stack()
    more = p99.loc["steady-140"] / p99.loc["steady-140", "lean"]
    longer = p50.loc["steady-170"] / p50.loc["steady-170", "lean"]
    done = steady["done_per_s"].loc["steady-230"].round()
    again = [f"celery-{time}-170" for time in ("steady", "second", "third")]
    bad = seen["failed"] + seen["refused"]
    fronts = ["lean-crash-service", "celery-crash-web", "overbuilt-crash-gateway"]
    requests = [f"{seen.loc[run, 'failed']:.0f}" for run in fronts]
    formula = seen.loc[fronts, "if_not_hidden"]
    claims = {
        f"{dearer_ms.min():.0f} to {dearer_ms.max():.0f} ms. Most users": True,
        "half as long again as the lean one's": 1.4 < more["celery"] < 1.6,
        "that of the overbuilt service a fifth longer": 1.15 < more["overbuilt"] < 1.25,
        "twice as long, Celery six times": 1.8 < longer["overbuilt"] < 2.3 and 5.5 < longer["celery"] < 6.9,
        "p50 was {:.0f}, {:.0f} and {:.0f} ms".format(*table.loc[again, "p50"]): True,
        "lean one's, that of": p99.loc["steady-140"].idxmin() == "lean",
        "from {lean:.0f} to {celery:.0f} and {overbuilt:.0f} jobs".format(**done): True,
        "{} requests of the lean service, {} of Celery's, {} of the".format(*requests): True,
        "to within a quarter": ((seen.loc[fronts, "failed"] / formula - 1).abs() < 0.25).all(),
        "all three fronts were back within a second": (seen.loc[fronts, "away_s"] < 1).all(),
        "each deploy costs nine requests": bad["lean-deploy"] == 9,
        f"costs the overbuilt one {bad['overbuilt-deploy']:.0f}": True,
        "a worker, the orchestrator or the result store": bad[[f"overbuilt-crash-{part}" for part in ("worker-1", "orchestrator", "redis")]].sum() == 0,
        "their deaths are the worst in the table": set(bad.nlargest(2).index) == {"celery-crash-redis", "overbuilt-crash-broker"},
    }  # fmt: skip

    for words, holds in claims.items():
        assert words.lower() in BOOK.prose.lower(), words
        assert holds, words


def test_the_prose_says_what_a_month_costs_and_how_far_hops_scale():
    month = tk.twins.month(part_deaths=1, deploys=20)["failed"]
    bills = tk.twins.total(failed=0)["parts"]
    each = tk.twins.ceilings()["on one each"]
    by = {name: (bills[name] - bills["lean"]) / (month["lean"] - month[name]) for name in ("celery", "overbuilt")}  # fmt: skip
    words = "they fail {overbuilt:.0f} (overbuilt) and {celery:.0f} requests (Celery), the one process by its death and twenty deploys {lean:.0f}"

    assert words.format(**month) in BOOK.prose
    assert "about 60 dollars" in BOOK.prose
    assert all(price == pytest.approx(60, rel=0.15) for price in by.values())
    assert "at 70% of what one lean process does" in BOOK.prose
    assert each["overbuilt"] / each["lean"] == pytest.approx(0.7, abs=0.02)
    assert "at less than half" in BOOK.prose
    assert each["celery"] / each["lean"] < 0.5
