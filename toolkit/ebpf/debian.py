"""Debian's kernel package, fetched without root."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from toolkit.errors import ToolkitError

KERNEL = re.compile(r"linux-image-6\.1\.0-\d+-amd64")
"""Headers for BCC are pinned to 6.1, and a cloud kernel has no 9p."""


class ImageError(ToolkitError):
    """An image that cannot be made; the message says what is wrong and what would help."""


def download(into: Path) -> Path:
    """Fetch the kernel package that ``linux-image-amd64`` stands for, as an ordinary user.

    apt checks it against the archive's signed lists, as it does when it installs.
    Where the system has no lists (a container), they are fetched into a folder of our own.
    """
    options: list[str] = []
    if not KERNEL.search(_apt("apt-cache", "depends", "linux-image-amd64", check=False)):
        options = _private_lists(into)
    newest = KERNEL.search(_apt("apt-cache", *options, "depends", "linux-image-amd64", check=False))
    if not newest:
        raise ImageError("apt knows no linux-image-6.1.0-…-amd64; give one with --deb")
    _apt("apt-get", *options, "download", newest[0], cwd=into)
    return next(into.glob(f"{newest[0]}_*.deb"))


def _private_lists(into: Path) -> list[str]:
    """Fetch apt's lists below ``into``, where they need no root; return the options that use them."""
    (into / "lists/partial").mkdir(parents=True)
    (into / "cache/archives/partial").mkdir(parents=True)
    places = {"Dir::State::lists": "lists", "Dir::Cache": "cache"}
    options = [part for key, name in places.items() for part in ("-o", f"{key}={into / name}")]
    _apt("apt-get", *options, "update")
    return options


def _apt(program: str, *arguments: str, check: bool = True, cwd: Path | None = None) -> str:
    """Run one of apt's programs and return what it says; a failure is said in its last line."""
    command = [program, "-q", *arguments]
    environment = os.environ | {"LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, cwd=cwd, env=environment
        )
    except FileNotFoundError as error:
        raise ImageError(f"{program} is missing; give a kernel package with --deb") from error
    if done.returncode and check:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ImageError(f"{' '.join([program, *arguments[-2:]])}: {last}")
    return done.stdout
