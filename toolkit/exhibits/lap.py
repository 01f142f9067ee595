"""One lap of the race: one form, in a process of its own, without the rest of the toolkit.

``python -I lap.py direct`` reads job lines from standard input and prints its times as JSON.
``race`` starts it.  Nothing that a form may need is imported before the clock has stopped.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from time import perf_counter, perf_counter_ns, process_time
from types import ModuleType
from typing import Any

_FAILS_EVERY = 10  # charges


def main(form: str, folder: str) -> dict[str, float]:
    """Get a form ready, run all jobs from standard input three times, and return the times in seconds."""
    _stand_in(folder)
    lines = sys.stdin.read().splitlines()
    ready_s = _seconds(lambda: _run(form, []), perf_counter)
    set_up_s = _seconds(lambda: _run(form, []), perf_counter)
    _run(form, lines)  # from here on the interpreter has seen all of the code
    cpu_s = _seconds(lambda: _run(form, lines), process_time)
    moments_ns: list[int] = []
    _run(form, _watched(lines, moments_ns))
    times_ns = sorted(b - a for a, b in pairwise(moments_ns))
    return {
        "ready_s": ready_s,
        "set_up_s": set_up_s,
        "cpu_s": cpu_s,
        "p50_s": times_ns[len(times_ns) // 2] / 1e9,
        "p99_s": times_ns[len(times_ns) * 99 // 100] / 1e9,
    }


def _stand_in(folder: str) -> None:
    """Put empty packages above the forms, so that only what a form imports is loaded."""
    for name, path in (("toolkit", f"{folder}/.."), ("toolkit.exhibits", folder)):
        package = ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package


def _run(form: str, lines: Iterable[str]) -> None:
    """Process all lines, with a charge and a pause that take no time, and an output that forgets."""
    process = __import__(f"toolkit.exhibits.{form}", fromlist=["process"]).process
    process(lines, _Charge(), lambda _: None, _Nowhere())


class _Charge:
    """A charge that takes no time, and fails every tenth time."""

    calls = 0

    def __call__(self, customer: str, cents: int) -> None:
        self.calls += 1
        if self.calls % _FAILS_EVERY == 0:
            raise ConnectionError(customer, cents)


class _Nowhere:
    """A file that forgets what is written."""

    def write(self, text: str) -> None:
        pass


def _seconds(work: Callable[[], Any], clock: Callable[[], float]) -> float:
    begun_s = clock()
    work()
    return clock() - begun_s


def _watched(lines: list[str], moments_ns: list[int]) -> Iterator[str]:
    """Yield the lines, and note when each is asked for: one is done when the next is."""
    for line in lines:
        moments_ns.append(perf_counter_ns())
        yield line
    moments_ns.append(perf_counter_ns())


if __name__ == "__main__":
    figures = main(*sys.argv[1:])
    import json

    sys.stdout.write(json.dumps(figures))
