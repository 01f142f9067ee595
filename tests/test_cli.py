"""The terminal gives the notebook's answer, and says in one line what is wrong with a question."""

import subprocess
import sys

import pytest
from fakes import pool, simulated_test

from toolkit.advice import SLO
from toolkit.cli import main, parse_slo

QUICK = ["--jobs", "500", "--replications", "3"]


@pytest.fixture(scope="module")
def jtl(tmp_path_factory):
    requests = simulated_test(pool(4, 60), jobs=1_500).requests
    path = tmp_path_factory.mktemp("load") / "results.jtl"
    stamps = requests["start"].astype("int64") // 1_000_000
    rows = zip(stamps, requests["elapsed_ms"].astype(int), strict=True)
    lines = [f"{stamp},{elapsed},work,200,OK,t 1-1,true" for stamp, elapsed in rows]
    header = "timeStamp,elapsed,label,responseCode,responseMessage,threadName,success"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_advise_gives_an_answer(jtl, capsys):
    status = main(["advise", str(jtl), "--slo", "p99=300ms", "--workers", "4", *QUICK])

    out = capsys.readouterr().out
    assert status == 0
    assert "4 workers: given" in out
    assert "The simplest design that meets p99 <= 300 ms is 2 workers" in out
    assert "p99_ms" in out


def test_the_picture_is_saved_and_never_written_over_unasked(jtl, tmp_path, capsys):
    picture = tmp_path / "answer.png"
    command = ["advise", str(jtl), "--slo", "p99=300ms", "--save", str(picture), *QUICK]

    assert main(command) == 0
    first = picture.read_bytes()
    assert first.startswith(b"\x89PNG")
    assert main(command) == 2
    assert "it is there already" in capsys.readouterr().err
    assert picture.read_bytes() == first
    assert main([*command, "--overwrite"]) == 0


def test_read_shows_the_file(jtl, capsys):
    assert main(["read", str(jtl)]) == 0

    out = capsys.readouterr().out
    assert "1,500" in out
    assert "Total" in out


GOALS = [
    (["p99=300ms"], SLO(p99_s=0.3)),
    (["p50 = 0.2 s", "p95=1s"], SLO(p50_s=0.2, p95_s=1.0)),
    (["success=99.9%"], SLO(success=0.999)),
    (["SUCCESS=0.5"], SLO(success=0.5)),
    (["cost=500", "recovery=1.5s"], SLO(cost=500.0, recovery_s=1.5)),
]


@pytest.mark.parametrize(("texts", "slo"), GOALS)
def test_goals_are_read(texts, slo):
    parsed = parse_slo(texts)

    assert {k: pytest.approx(v) for k, v in slo.goals().items()} == parsed.goals()


BAD = [
    (["--slo", "p99=300"], "p99 must be a time with its unit"),
    (["--slo", "p99=30%"], "p99 must be a time with its unit"),
    (["--slo", "success=3ms"], "success must be a share"),
    (["--slo", "success=99.9"], "success must be from 0 to 1"),
    (["--slo", "cost=3s"], "cost must be a number of dollars"),
    (["--slo", "p50=2s", "--slo", "p99=1s"], "p50_s must be <= p99_s"),
    (["--slo", "p99<300ms"], "must look like p99=300ms"),
    (["--slo", "p99=1.2.3ms"], "must look like p99=300ms"),
    (["--slo", "p99=3ms", "--save", "no/such/folder/x.png"], "there is no folder"),
    (["--slo", "p99=0ms"], "p99_s must be > 0"),
    (["--slo", "p99=300ms", "--workers", "0"], "workers must be a whole number >= 1"),
    (["--slo", "p99=300ms", "--load", "-1"], "must be > 0, got -1"),
    (["--slo", "p99=300ms", "--replications", "1"], "replications must be a whole number >= 2"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_a_bad_question_is_said_in_a_line(jtl, arguments, message, capsys):
    status = main(["advise", str(jtl), *arguments])

    err = capsys.readouterr().err
    assert status == 2
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("content", [None, b"", b"\x00\x01\x02garbage\xff", b"a,b,c\n1,2,3\n"])
def test_a_bad_file_is_said_in_two_lines_at_most(tmp_path, content, capsys):
    path = tmp_path / "results.jtl"
    if content is not None:
        path.write_bytes(content)

    assert main(["advise", str(path), "--slo", "p99=300ms"]) == 2
    err = capsys.readouterr().err
    assert "results.jtl" in err
    assert err.count("\n") <= 2


def test_the_module_runs_as_a_program(jtl):
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "read", str(jtl)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert "Total" in done.stdout


def test_the_doctor_of_the_kernel_lab_names_every_backend(capsys):
    status = main(["ebpf", "doctor"])
    said = capsys.readouterr().out

    assert status == 0
    assert all(f"{name}: " in said for name in ("host", "microvm", "recorded"))
    assert "tk.ebpf.Lab() uses: " in said


def test_a_helper_needs_root_and_says_so(capsys, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    status = main(["ebpf", "serve", "--uid", "1000"])

    assert status == 2
    assert (
        capsys.readouterr().err
        == "toolkit: the helper has to be root: put sudo before the command\n"
    )


@pytest.mark.parametrize("words", [["ebpf"], ["ebpf", "serve"], ["ebpf", "serve", "--uid", "me"]])
def test_a_lab_command_that_is_incomplete_gets_help(words, capsys):
    with pytest.raises(SystemExit):
        main(words)

    assert "usage: python -m toolkit ebpf" in capsys.readouterr().err
