"""The screen cannot end a run: closed pipes, full disks, narrow encodings, streams that were never open."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT, TINY, options
from tqdm import tqdm

import train
from algos.cli.interrupts import Interrupts
from algos.report import screen
from algos.report.progress import Progress
from algos.report.screen import Screen, unbreakable_output
from envs.foreign.output import Forgiving

LOUD = [word for word in TINY if word != "--quiet"]


def broken_pipe() -> io.TextIOWrapper:
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w", buffering=1)


def full_disk() -> io.TextIOWrapper:
    return open("/dev/full", "w", buffering=1)  # noqa: PTH123


def ascii_only() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), "ascii", "strict", write_through=True)


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS = {"pipe": broken_pipe, "disk": full_disk, "ascii": ascii_only, "closed": closed, "none": lambda: None}


@pytest.fixture(params=STREAMS)
def stream(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "disk" and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    made = STREAMS[request.param]()
    yield made
    if made is not None and not made.closed:
        screen.Screen(made).settle()
        made.close()


def test_nothing_that_is_said_raises(stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Print, tqdm and a traceback are tried."""
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", stream)
    with unbreakable_output():
        for _ in range(3):
            print("Übung 7 → 8" * 3000)
            print("Übung", file=sys.stderr, flush=True)
            sys.excepthook(ValueError, ValueError("Übung"), None)
        for _ in tqdm(range(3), desc="Übung", file=sys.stderr, mininterval=0):
            tqdm.write("Übung", file=sys.stderr)
    assert sys.stderr is stream
    if stream is not None and not stream.closed:
        stream.flush()  # as the interpreter does when it exits


def test_progress_without_the_command_line_is_as_safe(stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("algos.report.progress.LINE_SECONDS", 0.0)
    progress = Progress(10)
    progress.say("Übung")
    progress.update(3, lambda: 1.0)
    progress.close(10)


@pytest.mark.parametrize("name", ["pipe", "disk", "none"])
def test_a_bar_on_a_terminal_that_went_away_is_no_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = STREAMS[name]()
    monkeypatch.setattr(Screen, "isatty", lambda _: True)
    monkeypatch.setattr("algos.report.progress.BAR_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress(10)
    for steps in range(10):
        progress.update(steps, lambda: 1.0)
        progress.say("a note")
    progress.close(10)
    if stream is not None:
        screen.Screen(stream).settle()
        stream.close()


def test_what_an_encoding_lacks_is_escaped() -> None:
    stream = ascii_only()
    Screen(stream).write("Übung → 8\n")
    assert stream.buffer.getvalue() == b"\\xdcbung \\u2192 8\n"  # pyright: ignore


def test_a_reader_that_left_is_no_fault_but_a_full_disk_is() -> None:
    for make, fault in ((broken_pipe, False), (full_disk, True)):
        stream = make()
        guarded = Screen(stream)
        guarded.write("something\n")
        assert (screen.fault_of(guarded) is not None) is fault
        guarded.settle()
        stream.close()


@pytest.mark.parametrize("name", ["pipe", "disk", "none"])
def test_a_run_goes_on_when_nobody_can_read_of_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = STREAMS[name]()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr("algos.report.progress.LINE_SECONDS", 0.0)
    words = [*LOUD, "--log-dir", str(tmp_path), "--run-name", "Übung", "--total-steps", "64", "--eval-every", "32"]
    assert train.main([*words, "--video-every", "40"]) == 0
    folder = tmp_path / "Übung"
    assert set(json.loads((folder / "evaluation.json").read_text())) >= {"learned", "random", "heuristic"}
    another = STREAMS[name]()
    monkeypatch.setattr(sys, "stdout", another)
    evaluated = train.main(["--evaluate", str(folder), "--episodes", "2"])
    assert evaluated == (1 if name == "disk" else 0), "the result of an evaluation is what it prints"
    for one in (stream, another):
        if one is not None:
            screen.Screen(one).settle()
            one.close()


def test_started_with_closed_streams_and_an_ascii_terminal(tmp_path: Path) -> None:
    """Nothing but the shell can close descriptors; what opens next would become standard error."""
    words = [sys.executable, str(ROOT / "train.py"), *LOUD, "--log-dir", str(tmp_path), "--total-steps", "64"]
    line = f"exec {shlex.join(words)} --run-name Übung 0<&- 2>&- | head -c 1"
    ascii_terminal = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"], env=ascii_terminal, capture_output=True, check=False, timeout=300
    )
    assert done.returncode == 0
    (folder,) = tmp_path.iterdir()
    assert set(json.loads((folder / "evaluation.json").read_text())) >= {"learned", "random", "heuristic"}


def test_what_is_opened_never_becomes_a_standard_stream(tmp_path: Path) -> None:
    """A child inherits all three: a worker's pipe on descriptor 0 would be closed under it."""
    code = (
        "import subprocess, sys\nfrom importlib import util\n"
        "found = util.spec_from_file_location('screen', sys.argv[1])\n"
        "screen = util.module_from_spec(found); found.loader.exec_module(screen)\n"
        "with screen.unbreakable_output():\n"
        "    opened = open(sys.argv[1])\n"
        "    child = subprocess.run([sys.executable, '-c', 'import os; print(*map(os.fstat, range(3)))'])\n"
        "    open(sys.argv[2], 'w').write(f'{opened.fileno()} {child.returncode}')"
    )
    words = [sys.executable, "-c", code, str(ROOT / "algos" / "report" / "screen.py"), str(tmp_path / "found")]
    subprocess.run(["bash", "-c", f"exec {shlex.join(words)} 0<&- 1>&- 2>&-"], check=True, timeout=60)
    descriptor, child = (tmp_path / "found").read_text().split()
    assert int(descriptor) > 2
    assert child == "0"


def test_what_environments_print_cannot_end_a_worker(stream: Any) -> None:
    guarded = Forgiving(stream)
    for _ in range(3):
        print("x" * 10_000, file=guarded, flush=True)


CHATTY = """
import sys
sys.path[:0] = sys.argv[1:3]
import numpy as np
from envs import adapters
from foreign_toys import Scripted

class Chatty(Scripted):
    def step(self, actions):
        print("x" * 100_000, flush=True)
        sys.stderr.write("y" * 100_000)
        return super().step(actions)

told = []
view = adapters.vector(Chatty, 2, 1, notify=told.append)
view.reset(0)
for _ in range(5):
    view.step(np.zeros((2, 3), np.int64))
view.close()
print(told, flush=True)
"""


def test_a_worker_whose_environment_prints_outlives_its_reader() -> None:
    """Workers print to standard error, here a pipe that nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-c", CHATTY, str(ROOT), str(ROOT / "tests" / "helpers")]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=write, check=False, timeout=120, text=True)
    os.close(write)
    assert done.stdout == "[]\n"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="terminals do not hang up here")
def test_a_terminal_that_is_closed_stops_a_run_as_a_kill_does(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # however the tests themselves were started
    try:
        with Interrupts() as stop:
            for _ in range(2):  # the system and the shell both tell of it
                os.kill(os.getpid(), signal.SIGHUP)
            assert stop()
            assert stop.exit_code == 129
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
        with Interrupts() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_video_that_cannot_be_drawn_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(options(tmp_path, "--total-steps", "32", "--eval-episodes", "0")) == 0

    def odd(*_: Any, **__: Any) -> Any:
        raise ValueError("all the input array dimensions must match")

    monkeypatch.setattr("algos.training.film.frames", odd)
    film = str(tmp_path / "out.gif")
    assert train.main(["--evaluate", str(tmp_path / "run"), "--episodes", "2", "--video", film]) == 1
    said = capsys.readouterr()
    assert said.err == "train.py: no video: all the input array dimensions must match\n"
    assert said.out.startswith("2 episodes each"), "the table is there"
