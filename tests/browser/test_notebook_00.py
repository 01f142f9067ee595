"""Notebook 00 where people meet it: JupyterLab in a real browser, moved by keyboard."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
PATIENCE_MS = 180_000  # many times what it takes here: a slow machine is no failure
SLIDER = ".noUi-handle"
PANEL = ".jp-OutputArea .widget-vbox"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Start JupyterLab on a copy of the notebooks, on a port and in folders of its own."""
    home = tmp_path_factory.mktemp("lab")
    for folder in ("notebooks", "data"):
        shutil.copytree(ROOT / folder, home / folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTERLAB_SETTINGS_DIR")
    own = {name: str(home / name) for name in names}
    # cells that are scrolled out of sight stay in the page, so that all of it can be looked at
    tracker = (
        home / "JUPYTERLAB_SETTINGS_DIR/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    )
    tracker.parent.mkdir(parents=True)
    tracker.write_text('{"windowingMode": "none"}')
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                "--no-browser",
                "--allow-root",
                f"--port={port}",
                "--ip=127.0.0.1",
                "--IdentityProvider.token=",
                "--ServerApp.port_retries=0",
                f"--ServerApp.root_dir={home}",
            ],
            env=os.environ | own,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/api", bool)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=60)


def _wait_for(address, ready):
    """Ask the server until its answer is ``ready``: clicks that come before its kernel are lost."""
    for _ in range(360):
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            if ready(json.load(answer)):
                return
        time.sleep(0.5)
    pytest.fail(f"{address} did not answer as hoped in three minutes")


def _is_idle(session):
    return session["kernel"]["execution_state"] == "idle"


@pytest.fixture(scope="module")
def page(lab):
    """Open notebook 00 in Chromium and run all its cells."""
    if not CHROMIUM:
        pytest.skip("Chromium is not installed (as root on Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 2400})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{lab}/lab/tree/notebooks/00-start-here.ipynb")
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        _wait_for(f"{lab}/api/sessions", lambda sessions: sessions and _is_idle(sessions[0]))
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        yield page
        browser.close()


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
