"""The kernels that can be asked here: this machine's own (as root) and one in a micro-VM."""

import pytest

from toolkit import ebpf
from toolkit.ebpf import host, microvm


def reasons(missing):
    return "; ".join(f"{what} ({remedy})" for what, remedy in missing)


@pytest.fixture(scope="session")
def host_lab():
    """Return a lab on this machine's kernel, or skip with the reason."""
    if missing := host.why_not():
        pytest.skip(f"this machine's kernel cannot be the lab: {reasons(missing)}")
    with ebpf.Lab("host") as lab:
        yield lab


@pytest.fixture(scope="session")
def guest_lab():
    """Return a lab in a micro-VM, or skip with the reason."""
    if missing := microvm.why_not():
        pytest.skip(f"no micro-VM can be had: {reasons(missing)}")
    with ebpf.Lab("microvm") as lab:
        yield lab


@pytest.fixture(
    params=[
        pytest.param("host", marks=pytest.mark.kernel),
        pytest.param("guest", marks=pytest.mark.microvm),
    ]
)
def lab(request):
    """Return each live lab in turn."""
    return request.getfixturevalue(f"{request.param}_lab")
