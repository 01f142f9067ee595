"""JupyterLab in Debian's Chromium: a server in folders of its own, and a notebook whose cells have run."""

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = (
    "" if CHROMIUM else "Chromium is not installed (as root on Debian: apt-get install chromium)"
)
if not importlib.util.find_spec("playwright"):
    MISSING = "Playwright is not installed (make test and make bench do)"
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


@contextmanager
def served(home: Path) -> Iterator[str]:
    """Start JupyterLab on ``home``, on a port and with settings of its own; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTERLAB_SETTINGS_DIR")
    own = {name: str(home / name) for name in names}
    # what has been compiled is not compiled again
    own["NUMBA_CACHE_DIR"] = os.environ.get("NUMBA_CACHE_DIR") or str(Path.home() / ".cache")
    # cells that are scrolled out of sight stay in the page, so that all of it can be looked at
    settings = home / "JUPYTERLAB_SETTINGS_DIR/@jupyterlab/notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    options = (
        f"--no-browser --allow-root --ip=127.0.0.1 --port={port} --ServerApp.port_retries=0 "
        f"--IdentityProvider.token= --ServerApp.root_dir={home}"
    )
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options.split()],
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


def _wait_for(address: str, ready: Callable[[Any], Any]) -> None:
    """Ask the server until its answer is ``ready``: clicks that come before its kernel are lost."""
    for _ in range(360):
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            if ready(json.load(answer)):
                return
        time.sleep(0.5)
    raise TimeoutError(f"{address} did not answer as hoped in three minutes")


def _is_idle(session: dict[str, Any]) -> bool:
    return session["kernel"]["execution_state"] == "idle"


@contextmanager
def opened(address: str, notebook: str, *, height: int = 2400) -> Iterator[Any]:
    """Open a notebook of the server in Chromium, have all its cells run, and give the page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": height})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{address}/lab/tree/{notebook}")
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        _wait_for(f"{address}/api/sessions", lambda sessions: sessions and _is_idle(sessions[0]))
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        yield page
        browser.close()
