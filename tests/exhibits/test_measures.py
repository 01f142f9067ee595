"""What is counted is counted rightly, what is raced is plausible, and a fault is what it says."""

import ast

import pandas as pd
import pytest
from job_lines import line, run

from toolkit import exhibits
from toolkit.errors import ToolkitError
from toolkit.exhibits import faults, forms, needs, racing, sizes

SMALL = '''"""Text."""

# a remark
LIMIT = 3
"""What it is."""


def check(value):
    """Say."""
    if value > LIMIT and not value.idle:
        return [one for one in value if one]

    return None
'''


# --- sizes ---


def test_a_small_module_is_counted_as_by_hand():
    """Branches: if, and, the loop of the comprehension and its condition."""
    assert sizes.counted({"small.py": SMALL}) == {
        "modules": 1,
        "lines": 13,
        "code_lines": 5,
        "classes": 0,
        "functions": 1,
        "branches": 4,
    }


def test_one_job_goes_through_four_functions_of_the_direct_form():
    """The functions handle, check, price_cents and try_charge; process waits for handle, that for the others."""
    direct = exhibits.size_table().loc["direct"]

    assert direct[["calls_a_job", "functions_a_job", "modules_a_job", "deepest_stack"]].tolist() == [
        4, 4, 1, 3,
    ]  # fmt: skip


def test_the_layered_form_has_more_of_everything():
    table = exhibits.size_table()

    assert (table.loc["layered"] > table.loc["direct"]).all()


# --- race ---


def test_a_race_has_a_row_a_round_and_form():
    table = exhibits.race(jobs=100, rounds=2)

    assert sorted(zip(table["round"], table["form"], strict=True)) == [
        (0, "direct"), (0, "layered"), (1, "direct"), (1, "layered")
    ]  # fmt: skip
    assert (table.drop(columns="form") >= 0).all(axis=None)
    assert (table["p50_us"] <= table["p99_us"]).all()


def test_a_race_is_refused_with_too_few_jobs():
    with pytest.raises(ValueError, match="jobs must be a whole number >= 100, got 3"):
        exhibits.race(jobs=3)


def test_ratios_are_taken_within_a_round():
    """A round in which the machine was half as fast changes no ratio."""
    table = pd.DataFrame(
        {
            "round": [0, 0, 1, 1, 2, 2],
            "form": ["direct", "layered"] * 3,
            "p50_us": [1.0, 2.0, 10.0, 20.0, 1.0, 4.0],
        }
    )

    assert exhibits.ratios(table).loc["p50_us"].tolist() == [2.0, 2.0, 4.0]


def test_the_jobs_of_a_race_go_every_way():
    """Nearly all are done; some are broken, sent twice, or past the limit."""
    seen = run(exhibits.direct.process, racing.job_lines(2_000, seed=1), [False, True] * 50)
    outcomes = seen.summary["outcomes"]

    assert sum(outcomes.values()) == 2_000
    assert set(outcomes) == {"done", "duplicate", "invalid", "over_limit"}
    assert outcomes["done"] > 1_000
    assert racing.job_lines(200, seed=1) == racing.job_lines(200, seed=1)


def test_all_figures_are_compared_in_one_table():
    race = exhibits.race(jobs=100, rounds=1)
    table = exhibits.compared(race)
    size = exhibits.size_table()["code_lines"]

    assert table.loc["lines of code", "median"] == size["layered"] / size["direct"]
    assert (table["low"] <= table["median"]).all()
    assert (table["median"] <= table["high"]).all()
    assert {f"places to change: {request}" for request in exhibits.REQUESTS} <= set(table.index)


# --- faults ---


@pytest.mark.parametrize("form", exhibits.FORMS)
def test_every_fault_is_another_program(form):
    """Each has its file changed, and no two are alike; every one can at least be compiled."""
    whole = {file: ast.unparse(ast.parse(text)) for file, text in forms.texts(form).items()}
    seeded = faults.seeded(form)

    assert len({(fault.file, fault.text) for fault in seeded}) == len(seeded)
    for fault in seeded:
        assert fault.text != whole[fault.file]
        compile(fault.text, fault.file, "exec")


def test_faults_are_of_all_sorts():
    assert set(exhibits.fault_table("direct")["sort"]) == set(faults.SORTS)


def test_a_file_without_a_fault_is_left_whole_by_the_search():
    """The tree that faults are made from comes back as it was, after each of them."""
    texts = {fault.text for fault in faults.seeded("direct")}
    changed_lines = [
        sum(a != b for a, b in zip(text.splitlines(), whole.splitlines(), strict=False))
        for whole in [ast.unparse(ast.parse(forms.texts("direct")["direct.py"]))]
        for text in texts
        if len(text.splitlines()) == len(whole.splitlines())
    ]

    assert set(changed_lines) == {1}


def test_what_cannot_change_a_result_is_no_place_for_a_fault(monkeypatch):
    text = '''"""Text."""
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["One"]
T = TypeVar("T")
Charge = Callable[[str, "int"], None]


@dataclass(frozen=True)
class One:
    """Text."""

    name: "str"
    size: "int" = 3
'''
    monkeypatch.setattr(faults, "texts", lambda _: {"one.py": text})
    found = faults.seeded("direct")

    assert [(fault.line, fault.before, fault.after) for fault in found] == [
        (16, "3", "4"), (16, "3", "2")
    ]  # fmt: skip


def test_a_seeded_fault_changes_what_the_form_does():
    """The discount begins one megabyte later."""
    table = exhibits.fault_table("direct")
    number = table.query("sort == 'boundary' and before.str.contains('DISCOUNT')").index[0]
    with forms.loaded("direct", faults.seeded("direct")[number].files()) as module:
        seen = run(module.process, [line(kind="thumbnail", size_mb=100)])

    assert seen.charges == [("acme", 105)]


# --- dependencies ---


def test_every_dependency_has_its_reason_in_the_design():
    """And no reason is left there of a dependency that has gone."""
    declared = {(group, name) for group, names in needs.declared().items() for name in names}

    assert {key for key in needs.reasons() if key[0] != "system"} == declared


def test_a_dependency_brings_itself_and_what_it_needs():
    wanted = needs.declared()["run"]

    assert needs.brought(wanted["numpy"]) == {"numpy"}
    assert {"pandas", "numpy", "python-dateutil", "six"} <= needs.brought(wanted["pandas"])
    assert "llvmlite" in needs.brought(wanted["numba"])


def test_what_others_bring_anyway_frees_nothing(monkeypatch):
    """Pandas brings numpy; numba alone brings llvmlite."""
    run_time = needs.declared()["run"]
    kept = {name: run_time[name] for name in ("numpy", "pandas", "numba")}
    monkeypatch.setattr(needs, "declared", lambda: {"run": kept})
    monkeypatch.setattr(needs, "_import_ms", lambda *_: {"import_ms": 1.0})
    table = exhibits.dependencies().set_index("dependency")

    assert table.loc["numpy", "frees_mb"] == 0
    assert table.loc["numba", ["brings", "shared"]].tolist() == [2, 1]
    assert table.loc["numba", "own_mb"] < table.loc["numba", "frees_mb"]
    assert table.loc["numba", "frees_mb"] < table.loc["numba", "with_all_mb"]
    assert table["loads_with_toolkit"].tolist() == [True, True, False]
    assert table.loc["numba", "reason"].startswith("the compiled engine")


def test_a_dependency_that_is_not_installed_has_no_numbers(monkeypatch):
    wanted = {"run": {"no-such-thing": needs.Requirement("no-such-thing>=1")}}
    monkeypatch.setattr(needs, "declared", lambda: wanted)
    row = exhibits.dependencies().iloc[0]

    assert row.to_dict() == {"dependency": "no-such-thing", "for": "run", "reason": ""}


def test_away_from_the_repository_it_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(needs, "ROOT", tmp_path)
    monkeypatch.setattr(exhibits, "FOLDER", tmp_path)

    with pytest.raises(ToolkitError, match=r"pyproject\.toml is not here"):
        exhibits.dependencies()
    with pytest.raises(ToolkitError, match="the table is not here"):
        exhibits.measured("race")
    with pytest.raises(ValueError, match=r"table must be 'changes', .* got 'weather'"):
        exhibits.measured("weather")
