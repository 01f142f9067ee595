"""What the tests of theorems share: loads and speeds to try, and how close is close."""

from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st

speeds = st.floats(0.01, 1000.0)
loads = st.floats(0.01, 0.98)
few = settings(max_examples=40, deadline=None)
close = partial(pytest.approx, rel=1e-9)


def figures(q, *names):
    return [getattr(q, name) for name in names]
