"""Notebook 08 as a learner meets it: solutions pass, dots do not, a wrong idea gets its own hint."""

import ast
import json
import re
from pathlib import Path

import pytest

import toolkit as tk

PATH = Path(__file__).parents[2] / "notebooks" / "08-overbuilt.ipynb"
CELLS = json.loads(PATH.read_text(encoding="utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]
PROSE = "\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown")
EXERCISES = [code for code in CODE if "lessons.check" in code]
SOLUTION = re.compile(r"### BEGIN SOLUTION\n.*?### END SOLUTION\n", re.DOTALL)
OFTEN = {"part_deaths": 1, "work_deaths": 30, "deploys": 20}


def answer(code):
    """Run an exercise and return what its check says."""
    *body, last = ast.parse(code).body
    names = {"tk": tk, "twins": tk.twins, "often": OFTEN}
    exec(compile(ast.Module(body, []), PATH.name, "exec"), names)
    return eval(compile(ast.Expression(last.value), PATH.name, "eval"), names)


@pytest.mark.parametrize("code", EXERCISES, ids=lambda code: code.split(" ")[0])
def test_the_solution_is_right_and_the_dots_are_no_answer(code):
    assert answer(code)
    assert "no answer yet" in answer(SOLUTION.sub("", code)).text


def test_every_question_is_asked():
    asked = set(re.findall(r'lessons\.check\(\s*"(08-[^"]+)"', "\n".join(EXERCISES)))

    assert asked == {name for name in tk.lessons.QUESTIONS if name.startswith("08-")}


def test_how_often_is_that_of_the_notebook():
    assert any(code.startswith(f"often = {OFTEN}".replace("'", '"')) for code in CODE)


def test_no_price_is_set_as_mathematics():
    """Between two dollar signs a browser sets Markdown as a formula."""
    assert "$" not in PROSE


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
    bad = seen["failed"] + seen["refused"]
    month = tk.twins.month(part_deaths=1, deploys=20)["failed"]
    quiet = table[table["scenario"].isin(["steady-020", "steady-060"])]
    p50 = quiet.set_index(["scenario", "service"])["p50"].unstack()
    dearer_ms = p50[["celery", "overbuilt"]].sub(p50["lean"], axis="index").stack()
    ends = tk.twins.ceilings()

    assert f"({month['overbuilt']:.0f} requests)" in PROSE
    assert f"twenty deploys ({month['lean']:.0f})" in PROSE
    assert f"costs the overbuilt one {bad['overbuilt-deploy']:.0f}, and the lean one ten" in PROSE
    assert bad["lean-deploy"] == 10
    assert f"{dearer_ms.min():.0f} to {dearer_ms.max():.0f} ms" in PROSE
    assert "at half of what one lean process does" in PROSE
    assert 0.45 < ends.loc["overbuilt", "on one each"] / ends.loc["lean", "on one each"] < 0.55
    fronts = ("lean-crash-service", "celery-crash-web", "overbuilt-crash-gateway")
    requests = [f"{seen.loc[run, 'failed']:.0f}" for run in fronts]
    assert "{} requests of the lean service, {} of Celery's, {} of the".format(*requests) in PROSE
    assert (seen.loc[list(fronts), "away_s"] < 1).all()
