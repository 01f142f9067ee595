"""The kernel as a witness: a token bucket in eBPF, loaded with BCC into a real Linux kernel.

``Lab`` asks it; ``agent/`` runs beside the kernel and holds the programs.  Nothing here ever touches a
real network interface.
"""

from __future__ import annotations

from toolkit.ebpf import doctor, host
from toolkit.ebpf.channel import BackendUnavailable, LabError
from toolkit.ebpf.lab import Lab
from toolkit.ebpf.seen import Seen, Source

__all__ = ["BackendUnavailable", "Lab", "LabError", "Seen", "Source", "doctor", "host"]
