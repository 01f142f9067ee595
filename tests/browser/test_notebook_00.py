"""Notebook 00 where people meet it: JupyterLab in a real browser, moved by keyboard."""

import re
import shutil

import pytest
from chromium_lab import MISSING, PANEL, ROOT, SLIDER, opened, served

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Open a copy of notebook 00 and run all its cells."""
    home = tmp_path_factory.mktemp("lab")
    for folder in ("notebooks", "data"):
        shutil.copytree(ROOT / folder, home / folder)
    with served(home) as address, opened(address, "notebooks/00-start-here.ipynb") as page:
        yield page


def test_a_slider_moved_by_keyboard_changes_the_chart_and_its_sentence(page):
    """The whole way: file, model, simulation, picture, browser, and back from a key press."""
    panel = page.locator(PANEL).filter(has=page.locator(SLIDER)).first
    sentence, chart = panel.locator("p[role=status]"), panel.locator("img")
    sentence.wait_for()
    said, drawn, alt = sentence.inner_text(), chart.get_attribute("src"), chart.get_attribute("alt")
    assert re.match(r"4 workers at \d+ requests/s", said)

    panel.locator(SLIDER).first.focus()
    page.keyboard.press("ArrowRight")
    panel.get_by_text("5 workers at").wait_for()

    assert sentence.inner_text().startswith("5 workers at")
    assert chart.get_attribute("src") != drawn
    assert chart.get_attribute("alt") == sentence.inner_text() != alt


def test_no_cell_of_the_notebook_fails(page):
    """Errors inside widgets leave a cell green for a test that only runs cells."""
    page.get_by_text("✓ right:").nth(2).wait_for()

    assert page.locator(".jp-OutputArea-output[data-mime-type*=error], [role=alert]").count() == 0
    assert page.get_by_text("✓ right:").count() == 3
