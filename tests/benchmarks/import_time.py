"""What `import toolkit` costs: `python tests/benchmarks/import_time.py [rounds]`.

Against importing numpy, pandas and SimPy, which it cannot do without.
"""

# ruff: noqa: T201, printing is what it is for

import sys

from timing import rounds, show, show_ratio

ROUNDS, GOAL = 11, 1.4
TIMED = """
import json, time
wall_s, cpu_s = time.perf_counter(), time.process_time()
{statement}
print(json.dumps({{"cpu_s": time.process_time() - cpu_s, "wall_s": time.perf_counter() - wall_s}}))
"""
STATEMENTS = {"toolkit": "import toolkit", "foundation": "import numpy, pandas, simpy"}


def compare(count):
    """Let both take turns and print the table."""
    programs = {
        name: ["-c", TIMED.format(statement=statement)] for name, statement in STATEMENTS.items()
    }
    rounds(programs, 1)  # the files are in memory from here on
    results = rounds(programs, count)
    print(f"import, medians of {count} rounds, fresh processes")
    show(results, {"cpu_s": "CPU s", "wall_s": "wall s"})
    show_ratio(results, "toolkit", "foundation", goal=GOAL)


if __name__ == "__main__":
    compare(int(sys.argv[1]) if sys.argv[1:] else ROUNDS)
