"""Measure the data set kernel-lab: what saying no costs in two kernels, and the notebooks' questions.

As root on Debian, for this machine's own kernel and for that of the micro-VM:
``python data/collect/collect_kernel_lab.py --out DIR`` (about ten minutes).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import nbclient
import nbformat
import pandas as pd

from toolkit import ebpf

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ("04-token-buckets", "05-limiter-in-the-kernel", "10-capstone")
ROUNDS = 7
PACKETS = {"host": 1_000_000, "microvm": 200_000}
PARTS = ("host", "microvm", "sessions")


def measure_costs(backend: str, out: Path) -> None:
    """Write a row a round: the ladder, the three forms of the limiter, and with two CPUs their races."""
    packets = PACKETS[backend]
    with ebpf.Lab(backend) as lab:
        ladder = lab.ladder(packets=packets, rounds=ROUNDS)
        save(ladder, out / f"ladder-{backend}.csv", lab)
        save(lab.cost(packets=packets, rounds=ROUNDS), out / f"cost-{backend}.csv", lab)
        print(f"{lab.source}; not to be had: {ladder.attrs['missing'] or 'nothing'}")
    with ebpf.Lab(backend, cpus=2) as lab:
        races = lab.race(burst=packets, each=4 * packets, rounds=ROUNDS)
        save(races, out / f"race-{backend}.csv", lab)


def save(table: pd.DataFrame, path: Path, lab: ebpf.Lab) -> None:
    """Write a table with the kernel that it is of."""
    table.round(1).assign(kernel=lab.kernel).to_csv(path, index=False)


def record_sessions(out: Path) -> None:
    """Run the notebooks in the micro-VM and keep what they asked and what was answered."""
    path = out / "sessions.json.gz"
    path.unlink(missing_ok=True)
    os.environ["GOODPUT_LAB_BACKEND"] = "microvm"
    with ebpf.Lab() as lab:  # what the README asks
        lab.limit(rate_per_s=5_000, burst=100, offered_per_s=50_000, seconds=2)
        lab.keep(path)
    for name in NOTEBOOKS:
        book = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        cell = f"from pathlib import Path; lab.keep(Path({str(path)!r}))"
        book.cells.append(nbformat.v4.new_code_cell(cell))
        nbclient.NotebookClient(
            book, timeout=600, resources={"metadata": {"path": ROOT / "notebooks"}}
        ).execute()
        print(f"{name}: recorded")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="Measure the data set kernel-lab.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    out = given.out.resolve()
    for part in given.only:
        print(f"{part} ...", file=sys.stderr, flush=True)
        if part == "sessions":
            record_sessions(out)
        else:
            measure_costs(part, out)


if __name__ == "__main__":
    main()
