"""One process a run folder: the second is refused in a line, whatever ended the first."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import options

import train
from algos.cli import ending
from algos.training import lock
from algos.training.lock import RunLock
from algos.training.runfolder import RunFolderError
from algos.training.session import Session

ROOT = Path(__file__).parents[3]
HOLD = (
    "import sys; from pathlib import Path; from algos.training.lock import RunLock; lock = RunLock(Path(sys.argv[1]));"
)


def holder(folder: Path, then: str = "") -> subprocess.Popen[str]:
    """A process that holds the lock once a line is here, which its child says where it has forked one."""
    code = f"{HOLD} forked = 0; {then} forked or print('held', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    """Ended by SIGKILL it leaves a file, but no lock; nor does a child that it had forked."""
    process = holder(tmp_path, "import os; forked = os.fork();")
    with pytest.raises(RunFolderError, match=rf"is being trained by another process \({process.pid}\); wait") as caught:
        RunLock(tmp_path)
    assert "\n" not in str(caught.value)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / lock.LOCK).read_text() == f"{process.pid}\n", "the file is still there"
    with RunLock(tmp_path):
        with pytest.raises(RunFolderError, match="is being trained by another session of this process; close"):
            RunLock(tmp_path)
        assert (tmp_path / lock.LOCK).read_text() == f"{os.getpid()}\n"
    with RunLock(tmp_path) as held:
        held.release()
    RunLock(tmp_path).release()
    for pipe in (process.stdin, process.stdout):  # the orphan ends
        assert pipe is not None
        pipe.close()


def test_two_resumes_of_a_run_leave_the_rows_of_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(options(tmp_path, "--total-steps", "64")) == 0
    folder = tmp_path / "run"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != lock.LOCK}
    capsys.readouterr()
    with RunLock(folder):
        assert train.main(["--resume", str(folder), "--total-steps", "96"]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"train.py: {folder} is being trained by another session of this process")
        assert said.count("\n") == 1
        assert {path: path.read_bytes() for path in before} == before, "config.json, too, is as it was"
        assert train.main(["--evaluate", str(folder), "--episodes", "2", "--json"]) == 0
        assert set(json.loads(capsys.readouterr().out)["policies"]) == {"learned", "random", "heuristic"}
    assert train.main(["--resume", str(folder), "--total-steps", "96", "--quiet"]) == 0


def test_a_new_run_holds_its_folder_from_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[bool] = []

    def run(session: Session) -> None:
        with pytest.raises(RunFolderError):
            RunLock(session.folder)
        refused.append(True)
        session.close()
        raise OSError("enough")

    monkeypatch.setattr(ending, "run", run)
    assert train.main(options(tmp_path, "--total-steps", "64")) == 1
    assert refused == [True]
    RunLock(tmp_path / "run").release()


def test_a_file_system_without_locks_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def none(_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock, "_lock", none)
    with RunLock(tmp_path), RunLock(tmp_path):
        pass
