"""A session that is left off and goes on, alone or in turns with another, ends as one that trains in one go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import short_maddpg_runs
import torch
from short_runs import CASES, TOTAL, WORLDS, rows, without_clock
from short_runs import session as of_mappo
from streams import assert_same

from algos.report import monitor
from algos.report.progress import Progress
from algos.training import checkpoint
from algos.training.evaluation import random_policy
from algos.training.lock import RunLock
from algos.training.runfolder import RunFolderError
from algos.training.session import Session, run

SCHEDULE = {"eval_every": 40, "eval_episodes": 3, "save_every": 24, "video_every": 60}
PORTIONS = (4, 1, 28, 3, 37, 4, 0, 9, TOTAL)


def files(folder: Path) -> dict[str, Any]:
    """Returns all checkpoints of a run, the best one too, without times."""
    return {path.name: without_clock(checkpoint.load(path)) for path in (folder / "checkpoints").glob("*.pt")}


def ends_alike(one: Path, other: Path) -> None:
    found, expected = files(one), files(other)
    assert set(found) == set(expected)
    for name, content in found.items():
        assert_same(content, expected[name])
    assert rows(one) == rows(other)


def mappo(folder: Path, case: str = "memory", **options: Any) -> Session:
    make, config = CASES[case]
    return of_mappo(folder, make, config, schedule=SCHEDULE, **options)[1]


def maddpg(folder: Path) -> Session:
    return short_maddpg_runs.session(folder, "deaths and masks", eval_every=36, eval_episodes=2, save_every=20)


def in_portions(session: Session, portions: Sequence[int]) -> None:
    with session:
        for steps in portions:
            session.advance(steps)
        assert session.finished
        assert session.finish().finished


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("portions", [PORTIONS, (60,) * 3])
def test_leaving_off_and_going_on_changes_nothing(tmp_path: Path, case: str, portions: Sequence[int]) -> None:
    """In the middle of a rollout, right before an update, right before what is due, and not at all."""
    run(mappo(tmp_path / "whole", case))
    in_portions(mappo(tmp_path / "parts", case), portions)
    ends_alike(tmp_path / "parts", tmp_path / "whole")


def test_two_sessions_take_turns(tmp_path: Path) -> None:
    """MAPPO with memory and MADDPG with replay, in uneven portions: each ends as it does alone."""
    for name, make in (("mappo", mappo), ("maddpg", maddpg)):
        run(make(tmp_path / name))
    first, second = mappo(tmp_path / "first"), maddpg(tmp_path / "second")
    with first, second:
        turns = 0
        while first.advance(20) + second.advance(12):
            torch.rand(3)  # nothing is drawn from the process's own generators
            np.random.rand(3)  # noqa: NPY002
            turns += 1
        assert turns == 14
        second.finish()
        first.finish()
    ends_alike(tmp_path / "first", tmp_path / "mappo")
    ends_alike(tmp_path / "second", tmp_path / "maddpg")


def test_each_session_computes_on_its_own_number_of_threads(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    first, second = mappo(tmp_path / "first", threads=1), mappo(tmp_path / "second", threads=2)
    try:
        with first, second:
            for session, threads in ((first, 1), (second, 2), (first, 1)):
                session.advance(4)
                assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_a_session_says_how_far_it_is(tmp_path: Path) -> None:
    with mappo(tmp_path) as session:
        assert session.advance(5) == 2 * WORLDS, "steps are made for all worlds at once"
        assert session.steps == 2 * WORLDS
        assert not session.finished
        assert session.advance(10**9) == TOTAL - 2 * WORLDS, "not beyond the schedule"
        assert session.finished
        assert session.advance(10**9) == 0


def test_a_session_left_off_is_saved_and_can_be_resumed(tmp_path: Path) -> None:
    run(mappo(tmp_path / "whole"))
    folder = tmp_path / "parts"
    with mappo(folder) as session:
        session.advance(44)
    assert checkpoint.steps_of(checkpoint.listing(folder / "checkpoints")[-1]) == 44
    run(mappo(folder, resume=True))
    ends_alike(folder, tmp_path / "whole")


def test_a_driver_may_change_what_is_learned_in_between(tmp_path: Path) -> None:
    """As populations and averaging do it: the parameters that are set are those that training goes on from."""
    with mappo(tmp_path / "a") as giving, mappo(tmp_path / "b", seed=9) as taking:
        giving.advance(40)
        taking.advance(40)
        state = giving.algo.policy.state_dict()
        taking.algo.policy.load_state_dict(state)
        assert_same(taking.algo.policy.state_dict(), state)
        taking.advance(40)
        assert not all(map(torch.equal, taking.algo.policy.state_dict().values(), state.values()))


def test_an_evaluation_from_outside_leaves_no_trace(tmp_path: Path) -> None:
    run(mappo(tmp_path / "whole"))
    with mappo(tmp_path / "parts") as session:
        session.advance(44)
        found = session.evaluate(5)
        assert found.values.shape == (5, len(found.columns))
        assert "learned\nreturn" in str(found), "a table, for reading"
        session.advance(TOTAL)
        session.finish()
    ends_alike(tmp_path / "parts", tmp_path / "whole")


def test_a_session_holds_its_folder_until_it_is_closed(tmp_path: Path) -> None:
    session = mappo(tmp_path)
    with pytest.raises(RunFolderError, match="is being trained"):
        mappo(tmp_path)
    session.close()
    session.close()
    for call in (lambda: session.advance(4), session.finish, lambda: session.evaluate(1), session.save):
        with pytest.raises(RuntimeError, match="is closed"):
            call()
    with RunLock(tmp_path):
        pass


@pytest.mark.parametrize("where", ["restoring", "stepping", "evaluating", "in the block"])
def test_every_way_out_closes_everything(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[type] = []
    for what in (Progress, monitor.Monitor):

        def close(self: Any, *arguments: Any, real: Any = what.close) -> None:
            closed.append(type(self))
            real(self, *arguments)

        monkeypatch.setattr(what, "close", close)

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the simulator fell over")

    def drive(session: Session) -> None:
        session.advance(12)
        if where == "stepping":
            monkeypatch.setattr(session.env, "step", fail)
            session.advance(12)
        elif where == "evaluating":
            monkeypatch.setattr(session._examiner, "make_env", fail)
            session.advance(TOTAL)
        fail()

    if where == "restoring":
        mappo(tmp_path).close()
        closed.clear()
        make, _ = CASES["continuous"]
        with pytest.raises(checkpoint.MisfitError):
            of_mappo(tmp_path, make, CASES["continuous"][1], resume=True)
        assert not closed, "nothing was opened"
    else:
        with pytest.raises(RuntimeError, match="fell over"), mappo(tmp_path) as session:
            drive(session)
        assert sorted(one.__name__ for one in closed) == ["Monitor", "Progress"]
    with RunLock(tmp_path):
        pass


def test_what_the_bar_shows_does_not_count_the_time_between(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("algos.report.progress.time.perf_counter", lambda: clock[0])
    lines: list[str] = []
    progress = Progress(1_000)
    monkeypatch.setattr(progress, "say", lines.append)
    progress.go_on()
    for steps in (100, 200):
        clock[0] += 10.0
        progress.update(steps, lambda: None)
    progress.pause()
    clock[0] += 500.0
    with progress.phase("evaluating"):
        clock[0] += 500.0
    progress.go_on()
    clock[0] += 10.0
    progress.update(300, lambda: None)
    assert lines[-1] == "300 of 1,000 steps, 30 %  10 steps/s  01:10 left"


def test_random_play_is_compared_in_the_end(tmp_path: Path) -> None:
    with mappo(tmp_path, policies={"random": random_policy}) as session:
        session.advance(TOTAL)
        outcome = session.finish()
    assert outcome.comparison is not None
    assert set(outcome.comparison) == {"learned", "random"}
