"""The data set code-exhibit holds what its datasheet says, and is of the code that is here.

Where the code or a dependency has changed since: ``python data/collect/collect_code_exhibit.py``.
"""

from pathlib import Path

import pytest

from toolkit import exhibits
from toolkit.exhibits import needs

FOLDER = Path(__file__).parents[2] / "data" / "code-exhibit"


@pytest.fixture(scope="module")
def text():
    return (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def facts():
    """Import the program that wrote the datasheet's tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER.parent / "collect"))
        import code_exhibit_facts

        yield code_exhibit_facts


def found(form):
    """Return the faults of a form that were tried."""
    table = exhibits.measured("faults")
    return table[(table["form"] == form) & (table["sort"] != "none")]


def test_the_datasheet_has_the_tables_that_the_program_prints(facts, text):
    for table in facts.TABLES:
        assert table(FOLDER) in text
    assert facts.request_lines() in text


def test_sizes_and_changes_are_those_of_the_code_as_it_is():
    assert exhibits.measured("sizes").equals(exhibits.size_table().reset_index())
    assert exhibits.measured("changes").equals(exhibits.change_table())


@pytest.mark.parametrize("form", exhibits.FORMS)
def test_the_faults_are_those_of_the_code_as_it_is(form):
    """A fault that was tried can be looked up where it stands, and none is missing."""
    now = exhibits.fault_table(form)

    assert found(form)[list(now.columns)].to_numpy().tolist() == now.to_numpy().tolist()


def test_every_dependency_was_measured_and_has_the_reason_of_the_design():
    measured = exhibits.measured("dependencies")
    why = needs.reasons()
    groups = {group: set(table["dependency"]) for group, table in measured.groupby("for")}

    assert groups == {group: set(names) for group, names in needs.declared().items()}
    for row in measured.itertuples():
        assert row.reason == why[row[2], row.dependency]


def test_both_forms_ran_in_every_round():
    race = exhibits.measured("race")

    assert race.groupby("form")["round"].apply(list).to_dict() == {
        form: list(range(31)) for form in exhibits.FORMS
    }


def test_without_a_fault_nothing_was_caught():
    whole = exhibits.measured("faults").query("sort == 'none'")

    assert whole["caught"].tolist() == ["no", "no"]


def test_the_numbers_in_the_text_are_those_of_the_data(text):
    race = exhibits.measured("race").groupby("form").median()
    longer_us = race.loc["layered", "p50_us"] - race.loc["direct", "p50_us"]
    changes = exhibits.measured("changes")
    lines = (changes["added"] + changes["removed"]).groupby(changes["form"]).sum()
    places = changes.groupby("form")["places"].sum()
    size = exhibits.measured("sizes").set_index("form")["code_lines"]
    costs = exhibits.measured("dependencies").query("`for` == 'run'").set_index("dependency")

    assert f"A job takes {longer_us:.0f} microseconds longer" in text
    assert f"beside a charge of 10 ms that is {longer_us / 10_000:.2%}." in text
    assert f"the places are {places['direct']} to {places['layered']}:" in text
    assert (
        f"{lines['direct']} to {lines['layered']}, on top of {size['direct']} to {size['layered']}."
        in text
    )
    assert costs["frees_mb"].idxmax() == "numba"
    assert f"scipy's {costs.loc['scipy', 'own_mb']:.0f} MB" in text
    assert f"JupyterLab's {costs['brings'].max():.0f} distributions" in text


def test_what_the_tests_of_both_forms_miss_is_machinery(text):
    """All of the direct form is found; of the layered one only what no rule for jobs reaches is not."""
    missed = found("layered").query("caught in ['own', 'no']")

    assert set(found("direct")["caught"]) <= {"shared", "time"}
    assert "found every fault of the direct form" in text
    assert set(missed["file"]) <= {
        f"layered/{name}.py" for name in ("container", "domain", "pricing", "registry", "retries")
    }
    assert 0 < len(missed) < 0.1 * len(found("layered"))


def test_the_lines_of_tests_in_the_text_are_those_of_the_tests(text):
    folder = Path(__file__).parents[1] / "exhibits"
    own, shared = (
        exhibits.sizes.counted({name: (folder / name).read_text(encoding="utf-8")})["code_lines"]
        for name in ("test_layered.py", "test_pipelines.py")
    )

    assert f"({own} lines of code beside the {shared} for both)" in text
