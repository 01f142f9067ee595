"""What the README shows works as it stands there."""

import re
from pathlib import Path

import pytest

import toolkit as tk
from toolkit.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_a_block_of_python_runs(block, monkeypatch):
    monkeypatch.chdir(ROOT)

    exec(compile(block, "README.md", "exec"), {"tk": tk})


@pytest.mark.slow
def test_the_terminal_command_gives_the_answer_of_the_picture(monkeypatch, tmp_path, capsys):
    command = re.search(r"-m toolkit (advise .*)", README)[1].split()
    monkeypatch.chdir(ROOT)
    status = main([part.replace("answer.png", str(tmp_path / "answer.png")) for part in command])

    assert status == 0
    assert "The simplest design that meets p99 <= 90 ms is 5 workers" in capsys.readouterr().out
    assert (tmp_path / "answer.png").exists()


def test_every_link_leads_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
