"""The conformance checks of foreign environments find faults that were made on purpose."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from foreign_faults import Helped, Telling, Unpaid
from foreign_toys import Scripted

from envs import adapters, foreign_checks
from envs.conformance import check_foreign, command


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_checks, "STEPS", 20)
    monkeypatch.setattr(foreign_checks, "PATIENCE", 2.0)


def test_an_environment_without_fault_passes() -> None:
    check_foreign(Scripted, ends=((3, "die"), (4, "leave"), None), born=(0, 0, 2))


@pytest.mark.parametrize(
    ("check", "make", "options", "line"),
    [
        ("check_returns", Unpaid, {"how": "missing"}, "no reward of agent 'agent_1'"),
        ("check_returns", Unpaid, {"how": "see nan"}, "observation of agent 'agent_1' is nan"),
        ("check_metrics", Telling, {"scenes": {"new": (2, 3, (0,))}}, "metric 'new' appeared late, in world 0, step 2"),
    ],
)
def test_a_fault_is_found(check: str, make: Any, options: dict[str, Any], line: str) -> None:
    foreign = adapters.prepare(make, n_workers=0, **options)
    with pytest.raises(AssertionError, match=line):
        getattr(foreign_checks, check)(foreign)


def test_a_process_that_outlives_its_environment_is_found(tmp_path: Path) -> None:
    where = tmp_path / "helpers"
    try:
        foreign_checks.check_leaves_nothing(adapters.prepare(Helped, n_workers=1, where=str(where), close="forgets"))
        with pytest.raises(AssertionError, match=r"outlives a worker that was killed; start it in the process group"):
            foreign_checks.check_leaves_nothing(adapters.prepare(Helped, n_workers=1, where=str(where)))
    finally:
        for pid in map(int, where.read_text().split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ([], 2, "expected is NAME [TASK]"),
        (["odd_toys:Team", "size=9"], 2, "check_foreign(NAME, key=value)"),
        (["odd_toys:Nobody"], 2, "odd_toys:Nobody: the module has no 'Nobody'"),
        (["nothing"], 2, "unknown environment: 'nothing'"),
        (["spread", "nothing"], 2, "unknown task of spread: 'nothing'"),
        (["odd_toys:Turned"], 2, "observation of agent_0 has shape (3, 2)"),
        (["odd_toys:TurnedLater"], 1, "odd_toys:TurnedLater fails: the environment died in world 0, step 0"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(
    words: list[str], code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(words) == code
    said = capsys.readouterr()
    assert not said.out
    assert said.err.count("\n") == 1
    assert line in said.err
