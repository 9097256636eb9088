"""Progress on the screen: work that takes time is named, and no speed counts it."""

from __future__ import annotations

import io
import re
import time

import pytest

from algos.report import progress
from algos.report.progress import Progress, announced


class Clock:
    """A clock that a test moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(progress.time, "perf_counter", lambda: self.now)


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def nothing() -> float | None:
    return None


def test_the_clock_starts_after_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stream = Clock(monkeypatch), io.StringIO()
    shown = Progress(10_000, stream=stream)
    clock.now += 46  # compiling, say
    shown.update(100, nothing)
    clock.now += 6
    shown.update(1300, nothing)
    first, second = stream.getvalue().splitlines()
    assert "steps/s" not in first, "one step tells no speed"
    assert "? left" in first
    assert "200 steps/s" in second
    assert "00:43 left" in second


def test_a_phase_counts_for_no_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stream = Clock(monkeypatch), io.StringIO()
    shown = Progress(10_000, stream=stream)
    shown.update(100, nothing)
    clock.now += 3
    with shown.phase("evaluating"):
        clock.now += 60
    clock.now += 3
    shown.update(700, nothing)
    assert "100 steps/s" in stream.getvalue()


def test_a_run_ends_at_100_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    stream = io.StringIO()
    shown = Progress(1000, stream=stream)
    shown.update(64, nothing)
    shown.trained(1024)
    assert stream.getvalue() == "1,024 of 1,000 steps, 100 %\n"
    quiet = io.StringIO()
    shown = Progress(1000, stream=quiet, quiet=True)
    shown.update(64, nothing)
    shown.trained(1024)
    shown.close(1024)
    assert quiet.getvalue() == ""


def test_a_bar_ends_at_100_percent_though_steps_come_by_64() -> None:
    stream = Terminal()
    shown = Progress(1000, stream=stream)
    for steps in range(64, 1025, 64):
        shown.update(steps, nothing)
    shown.trained(1024)
    with shown.phase("evaluating"):
        pass
    shown.close(1024)
    said = stream.getvalue()
    assert "100%" in said
    assert "evaluating" in said
    assert re.findall(r"(\d+)%", said)[-1] == "100"


def test_what_takes_long_is_announced_and_what_does_not_is_not() -> None:
    said: list[str] = []
    with announced("compiling", said.append, patience=60.0):
        pass
    assert said == []
    with announced("compiling", said.append, patience=0.0):
        deadline = time.monotonic() + 10
        while not said and time.monotonic() < deadline:
            time.sleep(0.001)
    assert said == ["compiling ..."]


def test_phases_are_said_where_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    stream = io.StringIO()
    shown = Progress(1000, stream=stream)
    with shown.phase("filming"):
        deadline = time.monotonic() + 10
        while not stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.001)
    assert stream.getvalue() == "filming ...\n"
