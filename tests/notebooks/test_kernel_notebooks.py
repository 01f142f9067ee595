"""Notebooks 04, 05 and 10 run with every kernel that can be asked; `make test` runs them with the first."""

import json
from pathlib import Path

import nbclient
import nbformat
import pytest

from toolkit.ebpf import microvm, recorded

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ("04-token-buckets", "05-limiter-in-the-kernel", "10-capstone")
MISSING = microvm.why_not()
CHECKED = "nbval-check-output"


def said(cell):
    """Return what a cell wrote, as text."""
    return "".join(output.get("text", "") for output in cell["outputs"])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "backend",
    [
        "recorded",
        pytest.param(
            "microvm",
            marks=[
                pytest.mark.microvm,
                pytest.mark.skipif(bool(MISSING), reason=f"no micro-VM can be had: {MISSING}"),
            ],
        ),
    ],
)
def test_a_kernel_notebook_runs_from_top_to_bottom_and_says_which_kernel_answers(
    name, backend, monkeypatch
):
    """What is checked in it comes out the same, whoever answers."""
    monkeypatch.setenv("GOODPUT_LAB_BACKEND", backend)
    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    stored = [said(cell) for cell in book.cells if CHECKED in cell["metadata"].get("tags", [])]
    nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": FOLDER}}).execute()
    ran = [said(cell) for cell in book.cells if CHECKED in cell["metadata"].get("tags", [])]

    assert ran == stored
    witness = {"recorded": "recorded: microvm", "microvm": "in a micro-VM, measured now"}[backend]
    assert witness in json.dumps(book)


def test_the_recording_is_of_a_micro_vm_and_has_every_kind_of_answer():
    kept = recorded.Recorded()
    calls = {call for call, _ in kept._calls}

    assert kept.when.startswith("microvm, 20")
    assert {"limit", "decide", "ladder", "cost", "race", "defend", "pace", "share"} <= calls
    assert {"observe", "learn"} <= calls
