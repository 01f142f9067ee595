"""The data set kernel-lab holds what its datasheet says."""

from pathlib import Path

import pandas as pd
import pytest

FOLDER = Path(__file__).parents[2] / "data" / "kernel-lab"
BACKENDS = ("host", "microvm")


@pytest.fixture(scope="module")
def facts():
    """Import the program that wrote the datasheet's tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER.parent / "collect"))
        import kernel_lab_facts

        yield kernel_lab_facts


def test_the_datasheet_has_the_tables_that_the_program_prints(facts):
    text = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert facts.ladder_table(FOLDER) in text
    assert facts.update_table(FOLDER) in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_driver_is_the_cheapest_place_and_a_process_the_dearest(backend):
    """In every round, on both kernels."""
    table = pd.read_csv(FOLDER / f"ladder-{backend}.csv")
    ns = table.assign(round=table.groupby("rung").cumcount()).pivot_table(
        index="round", columns="rung", values="ns"
    )
    elsewhere = ns.drop(columns=["xdp", "xdp-drop"])

    assert len(ns) == 7
    assert (ns["xdp"] < elsewhere.min(axis=1)).all()
    assert (ns["python"] > ns.drop(columns="python").max(axis=1)).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_exact_forms_let_none_too_many_pass_and_the_racy_one_did(backend):
    over = pd.read_csv(FOLDER / f"race-{backend}.csv").groupby("update")["over"]

    assert over.max()[["swap", "locked"]].max() <= 0
    assert over.min()["racy"] > 0


def test_the_ratios_in_the_text_are_those_of_the_data():
    """Medians of the ratios within a round."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for backend, other, said in (
        ("host", "tc", "takes 0.42 of the time of the same one at `tc`"),
        ("host", "nftables-per-source", "and 0.38 of that of nftables with a limit a source"),
        ("microvm", "tc", "in the micro-VM 0.21 of either"),
        ("microvm", "nftables-per-source", "in the micro-VM 0.21 of either"),
    ):
        table = pd.read_csv(FOLDER / f"ladder-{backend}.csv").set_index("rung")["ns"]
        ratio = (table["xdp"].to_numpy() / table[other].to_numpy()).tolist()

        assert f"{pd.Series(ratio).median():.2f}" in said
        assert said in text
