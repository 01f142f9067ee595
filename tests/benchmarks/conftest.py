"""The programs to compare with are run by tests; most need a simulator that is not installed."""

collect_ignore_glob = ["comparison/*"]
