"""TensorBoard's events: written so that others can hook in, each point once, whole records on a disk that is full."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from short_runs import CASES, rows, start
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer
from torch.utils.tensorboard import writer as torch_writer

from algos.report import events
from algos.report.monitor import Monitor


def shown(folder: Path, tag: str) -> list[int]:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return [event.step for event in found.Scalars(tag)]


@pytest.mark.parametrize("module", [torch_writer, event_file_writer])
def test_a_class_that_replaces_the_writers_learns_of_the_run_folder(
    tmp_path: Path, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `wandb.init(sync_tensorboard=True)` does in both modules: a subclass that learns of the folder to watch."""
    told: list[str] = []
    real = event_file_writer.EventFileWriter

    class Watching(real):
        def __init__(self, logdir: str, *arguments: Any, **options: Any) -> None:
            told.append(logdir)
            super().__init__(logdir, *arguments, **options)

    monkeypatch.setattr(torch_writer, "EventFileWriter", Watching)
    if module is event_file_writer:
        monkeypatch.setattr(event_file_writer, "EventFileWriter", Watching)
    monitor = Monitor(tmp_path)
    monitor.row(3, {"train/loss": 0.5})
    monitor.close()
    assert told == [str(tmp_path)]
    assert shown(tmp_path, "train/loss") == [3]


@pytest.mark.parametrize("stop_after", [None, 5])
def test_a_run_that_goes_on_from_step_0_shows_no_point_twice(tmp_path: Path, stop_after: int | None) -> None:
    """Killed before its second checkpoint: what it had shown is forgotten, its layout and options are not."""
    case = CASES["continuous"]
    start(tmp_path, *case, stop_after=20, hparams={"algo.lr": 0.1})
    for path in sorted((tmp_path / "checkpoints").iterdir())[1:]:
        path.unlink()
    if stop_after is not None:  # twice
        start(tmp_path, *case, resume=True, stop_after=stop_after)
        for path in sorted((tmp_path / "checkpoints").iterdir())[1:]:
            path.unlink()
    start(tmp_path, *case, resume=True)
    assert shown(tmp_path, "train/policy_loss") == [32, 64, 96, 128]
    assert [row["step"] for row in rows(tmp_path)] == [32, 64, 96, 128]
    found = EventAccumulator(str(tmp_path)).Reload()
    assert found.PluginTagToContent("hparams")
    assert len(found.Tensors("custom_scalars__config__")) == 1


def test_a_run_on_a_clock_that_is_behind_is_read_after_what_it_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorBoard reads files by name, and names begin with the time."""
    case = CASES["continuous"]
    start(tmp_path, *case, stop_after=20)
    for path in sorted((tmp_path / "checkpoints").iterdir())[1:]:
        path.unlink()
    (before,) = tmp_path.glob("events*")
    later = before.rename(tmp_path / "events.out.tfevents.9999999999.host.1.9")
    start(tmp_path, *case, resume=True)
    assert later.exists()
    assert shown(tmp_path, "train/policy_loss") == [32, 64, 96, 128]


def test_the_evaluation_at_the_end_is_not_repeated_when_a_run_is_extended(tmp_path: Path) -> None:
    case, schedule = CASES["continuous"], {"eval_every": 64, "eval_episodes": 2}
    start(tmp_path, *case, schedule={**schedule, "total_steps": 64})
    start(tmp_path, *case, schedule={**schedule, "total_steps": 96}, resume=True)
    assert shown(tmp_path, "eval/return") == [64, 96]
    assert [row["step"] for row in rows(tmp_path) if "eval/return" in row] == [64, 96]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bool]]:
    """A disk that takes half of what it is given and is full then, while `full`."""
    state = {"full": False}
    real = events.append

    def append(path: Path, content: bytes) -> None:
        if not state["full"]:
            return real(path, content)
        if path.name == "metrics.jsonl":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        size = path.stat().st_size
        real(path, content[: len(content) // 2])
        os.truncate(path, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(events, "append", append)
    monkeypatch.setattr("algos.report.monitor.append", append)
    yield state
    state["full"] = False


def test_the_writers_thread_outlives_a_full_disk(tmp_path: Path, disk: dict[str, bool]) -> None:
    """No traceback of a thread (pytest would fail on it), one line, and the same file goes on afterwards."""
    said: list[str] = []
    monitor = Monitor(tmp_path, say=said.append)
    monitor.row(1, {"a/b": 1.0})
    disk["full"] = True
    for steps in range(2, 30):
        monitor.row(steps, {"a/b": 1.0})
    disk["full"] = False
    monitor.row(30, {"a/b": 1.0})
    monitor.close()
    assert shown(tmp_path, "a/b") == [1, 30]
    assert [row["step"] for row in rows(tmp_path)] == [1, 30]
    assert [line.split()[0] for line in said] == ["metrics.jsonl", "TensorBoard"]
    assert len(list(tmp_path.glob("events*"))) == 1


def test_a_writer_that_cannot_begin_begins_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It then also tells TensorBoard which events to forget."""
    first = Monitor(tmp_path)
    first.row(8, {"a/b": 1.0})
    first.close()

    def full(**_: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(events.tempfile, "TemporaryFile", full)
        monitor = Monitor(tmp_path, resumed=True, say=said.append)
        monitor.row(4, {"a/b": 1.0})
    assert len(list(tmp_path.glob("events*"))) == 1
    monitor.row(8, {"a/b": 2.0})
    monitor.close()
    assert said == [
        "TensorBoard cannot be written: No space left on device; training goes on, rows are lost until it can"
    ]
    assert shown(tmp_path, "a/b") == [8]
    assert [row["step"] for row in rows(tmp_path)] == [4, 8], "the rows are all there"


def test_a_run_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = threading.active_count()
    start(tmp_path, *CASES["continuous"])
    assert threading.active_count() == before


def test_a_name_that_is_no_text_is_no_end(tmp_path: Path) -> None:
    """An umlaut in a run's name under an ascii locale reaches Python as lone surrogates."""
    folder = tmp_path / os.fsdecode(b"\xfcbung")
    folder.mkdir()
    said: list[str] = []
    monitor = Monitor(folder, say=said.append)
    monitor.hparams({"run.run_name": folder.name})
    monitor.row(1, {"a/b": 1.0})
    monitor.close()
    assert [row["step"] for row in rows(folder)] == [1]
    assert said == []
    (written,) = folder.glob("events*")
    shutil.copy(written, tmp_path)  # TensorBoard itself does not find the folder
    assert shown(tmp_path, "a/b") == [1]
