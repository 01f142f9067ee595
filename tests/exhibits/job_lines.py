"""Job lines, a charge that fails as told, and what a pipeline made of them."""

import io
import json
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import strategies as st


def line(job="a", customer="acme", kind="report", size_mb=10, **more):
    """Return a job line; a field that is ``...`` is left out."""
    fields = {"job": job, "customer": customer, "kind": kind, "size_mb": size_mb, **more}
    return json.dumps({name: value for name, value in fields.items() if value is not ...})


@dataclass
class Seen:
    """What came out of a pipeline, and what it did to the world."""

    results: list = field(default_factory=list)
    summary: dict = field(default_factory=dict)
    charges: list = field(default_factory=list)
    pauses_s: list = field(default_factory=list)

    @property
    def outcomes(self):
        """What became of the jobs, in order."""
        return [result["outcome"] for result in self.results]


def run(process, lines, failures=(), **more):
    """Process ``lines``; the charge fails where ``failures`` has a true value, a value a try, then never."""
    seen, out, failing = Seen(), io.StringIO(), list(failures)

    def charge(customer, cents):
        seen.charges.append((customer, cents))
        if failing and failing.pop(0):
            raise ConnectionError

    seen.summary = process(lines, charge, seen.pauses_s.append, out, **more)
    seen.results = [json.loads(text) for text in out.getvalue().splitlines()]
    return seen


def spent_cents(seen):
    """Return what each customer was charged for jobs that were done, from the results alone."""
    spent = Counter()
    for result in seen.results:
        if result["outcome"] == "done":
            spent[result["customer"]] += result["cents"]
    return dict(sorted(spent.items()))


names = st.sampled_from(["a", "b", "c", "d", "e", "f", ""])
kinds = st.sampled_from(["thumbnail", "transcode", "report", "dance"])
sizes_mb = st.one_of(
    st.integers(-1, 2_001), st.sampled_from([0, 1, 99, 100, 101, 2_000, 2_001, True, 1.0, "1"])
)
jobs = st.builds(
    line,
    job=names,
    customer=st.sampled_from(["acme", "acme", "zenith", ""]),
    kind=kinds | st.none(),
    size_mb=sizes_mb,
)
job_lines = st.lists(jobs | st.sampled_from(["", "  \n", "[]", "{", "null", "3"]), max_size=12)
failures = st.lists(st.booleans(), max_size=12)
