"""The published tables are as printed, say whose they are, and bear what their datasheet says of them."""

import re
from pathlib import Path

import pandas as pd
import pytest

import toolkit as tk

FOLDER = Path(__file__).parents[2] / "data" / "published-cost"
DATASHEET = (FOLDER / "README.md").read_text(encoding="utf-8")
published = tk.panels.published


def described(name):
    """Return the columns that the datasheet has for a file."""
    section = DATASHEET.partition(f"## {name}")[2].partition("\n## ")[0]
    return re.findall(r"^\| (\w+) \|", section, re.MULTILINE)[1:]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.csv")), ids=lambda path: path.name)
def test_the_datasheet_names_every_column_in_order(path):
    assert described(path.name) == list(pd.read_csv(path).columns)


@pytest.mark.parametrize("name", ["cost.csv", "ray-tracer.csv", "prime-video.csv"])
def test_every_table_says_who_when_and_what_to_beware_of(name):
    """Numbers of others without their caveat are hearsay."""
    section = DATASHEET.partition(f"## {name}")[2].partition("\n## ")[0]

    assert "Published, not measured here" in DATASHEET
    assert re.search(r"- Who and when: .*\b(20\d\d)\b", section)
    assert "- Caveats: " in section


def test_no_system_that_was_stopped_counts_as_finished():
    rows = published.table("cost").query("is_lower_bound == 1")

    assert set(zip(rows["system"], rows["graph"], rows["elapsed_s"], strict=True)) == {
        ("Spark", "uk-2007-05", 8000),
        ("Giraph", "uk-2007-05", 8000),
    }


@pytest.mark.parametrize(("task", "best_s"), [("pagerank", 110), ("components", 15)])
def test_one_thread_beats_all_systems_and_each_pays_for_its_cores(task, best_s):
    table = published.against_one_thread(task, worker=73.0)
    systems = table[table["cores"] > 1]

    assert table.loc[table["cores"] == 1, "seconds"].min() == best_s
    assert (systems["times one thread"] > 2).all()
    assert (table["times one thread"] * best_s).tolist() == pytest.approx(table["seconds"].tolist())
    # a worker at 73 a month costs 0.1 an hour
    dollars = table["cores"] * table["seconds"] / 3600 * 0.1
    assert (table["cents"] / 100).tolist() == pytest.approx(dollars.tolist())


def test_the_three_fits_are_as_the_datasheet_says():
    """Free, beta means nothing; bounded, it is Amdahl's law; with gamma held, a peak beyond the data."""
    fits = published.ray_tracer_fits()
    largest = published.table("ray-tracer")["processors"].max()

    assert fits.loc["all three free", "beta"] == pytest.approx(-2.011e-4, rel=1e-3)
    assert fits.loc["beta not below 0", ["alpha", "gamma"]].tolist() == pytest.approx([0.05777, 21.849], rel=1e-4)  # fmt: skip
    assert fits.loc["beta not below 0", "beta"] == 0
    assert fits.loc["gamma as measured", "beta"] == pytest.approx(1.1434e-5, rel=1e-4)
    assert fits.loc["gamma as measured", "peak"] > 4 * largest


def test_the_picture_says_what_each_fit_promises():
    text = published.ray_tracer().text

    assert "all three free 24.8 to 580; beta not below 0 21.8 to 350" in text
