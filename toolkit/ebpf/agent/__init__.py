"""What runs beside the kernel: as root on this machine, or in a micro-VM.

It is started as ``/usr/bin/python3 -m agent``, by Debian's own Python, which has ``bcc``; so nothing in
this folder may import from the rest of the toolkit or from PyPI.  One JSON object a line comes in, one
goes out (``service.py``); a line names one of a fixed list of verbs (``verbs.py``), and every argument
is checked.  What a session makes (programs, network namespaces, processes) lives in that session's
process and ends with it, however it ends.
"""
