"""Metrics of foreign environments: a union of names, NaN where one is absent, a line where one appears late."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_faults import Telling
from foreign_toys import Scripted

import train
from algos.training import checkpoint, evaluation
from algos.training.episodes import EpisodeStatistics
from algos.training.evaluation import Evaluation, evaluate, random_policy
from envs import adapters
from envs.batch_checks import fingerprint

ALL = {"early": (0, 9, (0, 1)), "late": (2, 3, (1,)), "goes": (0, 1, (0,)), "words": (0, 9, (0,))}
LATE: dict[str, Any] = {"scenes": ALL, "early": ("early", "goes"), "limit": 4}


def rolled(view: Any, steps: int) -> list[Any]:
    made = [view.reset(0)]
    for _ in range(steps):
        made += view.step(np.zeros((view.n_worlds, 3), np.int64))
    return made


def test_a_metric_that_comes_late_is_shown_and_one_that_goes_is_nan() -> None:
    said: list[str] = []
    view = adapters.vector(Telling, 2, 0, notify=said.append, **LATE)
    first, one, _, two, _, three, _ = rolled(view, 3)
    assert list(first.metrics) == ["early", "goes"], "what is no number is no metric"
    assert first.metrics["goes"].tolist() == [0, 0]
    assert one.metrics["goes"].tolist() == [1, 1]
    assert "late" not in one.metrics
    assert [m.metrics["late"].tolist() for m in (two, three)] == [[3, 3], [4, 4]]
    assert np.isnan(two.metrics["goes"]).all()
    assert len(said) == 1
    assert said[0].startswith("Telling: metric 'late' appeared late, in world 0, step 2 of the episode that began with")
    final, following = view.step(np.zeros((2, 3), np.int64))
    assert np.isnan(final.metrics["late"]).all()
    assert np.isnan(following.metrics["late"]).all()
    assert following.metrics["early"].tolist() == [0, 0]


def test_a_metric_that_only_some_agents_or_steps_tell_is_known_from_the_look() -> None:
    """The usual case is a wrapper that adds a metric in `step`."""
    view = adapters.vector(
        Telling, 2, 0, scenes={"added": (1, 9, (2,)), "first": (0, 0, (1,))}, early=("added", "first")
    )
    first, one, *_ = rolled(view, 1)
    assert list(first.metrics) == ["first", "added"]
    assert np.isnan(first.metrics["added"]).all()
    assert one.metrics["added"].tolist() == [3, 3]
    assert np.isnan(one.metrics["first"]).all()


@pytest.mark.parametrize("workers", [2])
def test_late_metrics_do_not_depend_on_which_process_steps_the_worlds(workers: int) -> None:
    said: list[str] = []
    alone = adapters.vector(Telling, 3, 0, notify=said.append, **LATE)
    view = adapters.vector(Telling, 3, workers, notify=said.append, **LATE)
    assert fingerprint(rolled(view, 9)) == fingerprint(rolled(alone, 9))
    assert len(said) == 2, "each view says it once, though it has several processes"
    view.close()


def test_more_late_metrics_than_there_is_room_for_are_left_out_with_a_line() -> None:
    said: list[str] = []
    scenes = {f"m{i}": (1, 9, (0,)) for i in range(70)}
    view = adapters.vector(Telling, 1, 0, notify=said.append, scenes=scenes)
    *_, step = rolled(view, 3)
    assert len(step.metrics) == 64
    assert "no column is left" in said[-1]


def test_a_run_with_a_late_metric_goes_on_from_its_checkpoint() -> None:
    view = adapters.vector(Telling, 2, 0, notify=lambda _: None, **LATE)
    step = rolled(view, 3)[-1]
    saved = checkpoint.unpack(checkpoint.pack(view.state_dict()))
    other = adapters.vector(Telling, 2, 0, notify=lambda _: None, **LATE)
    loaded = other.load_state_dict(saved)
    assert fingerprint(loaded) == fingerprint(step)
    _, following = other.step(np.zeros((2, 3), np.int64))
    assert list(following.metrics) == ["early", "goes", "late"]
    assert np.isnan(following.metrics["late"]).all()

    fewer = adapters.vector(Telling, 2, 0, scenes={"new": (0, 9, (0,))}, early=("new",), limit=4)
    loaded = fewer.load_state_dict(saved)
    assert list(loaded.metrics) == ["new", "early", "goes", "late"]
    assert np.isnan(loaded.metrics["new"]).all()


def test_statistics_take_late_metrics_in_and_let_them_go() -> None:
    view = adapters.vector(Telling, 2, 0, notify=lambda _: None, scenes={"end": (4, 4, (0,))}, limit=4)
    step = view.reset(0)
    statistics = EpisodeStatistics(2, 3, tuple(step.metrics), window=5)
    before = statistics.columns
    for _ in range(8):
        final, step = view.step(np.zeros((2, 3), np.int64))
        statistics.add(final, final.truncated)
    assert statistics.columns == (*before, "end")
    assert statistics.means()["end"] == 4.0
    silent = adapters.vector(Scripted, 2, 0, limit=1)
    silent.reset(0)
    final, _ = silent.step(np.zeros((2, 3), np.int64))
    found = statistics.add(final, final.truncated)
    assert found is not None
    assert np.isnan(found[1][:, -1]).all()

    fresh = EpisodeStatistics(2, 3, ("other",), window=5)
    fresh.load_state_dict(checkpoint.unpack(checkpoint.pack(statistics.state_dict())))
    assert fresh.columns == (*before, "end", "other")
    assert fresh.means() == statistics.means()
    assert statistics.taken == fresh.taken == ()
    with pytest.raises(ValueError, match="do not fit"):
        EpisodeStatistics(3, 3, ("end",)).load_state_dict(statistics.state_dict())


def test_a_metric_with_the_name_of_one_of_our_columns_is_left_out_with_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = "--env odd_toys:Clashing --env.n-workers 0 --algo ippo --total-steps 64 --n-worlds 2 --run-name run"
    assert train.main([*words.split(), "--algo.rollout-steps", "8", "--eval-episodes", "2"]) == 0
    said = capsys.readouterr().err
    assert said.count("metric 'return' of the environment is left out: a column of ours is called so") == 1
    rows = [json.loads(line) for line in (tmp_path / "runs" / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {row["rollout/return"] for row in rows if "rollout/return" in row} == {4.0}


def test_an_evaluation_counts_metrics_that_come_late() -> None:
    view = adapters.vector(Telling, 2, 0, notify=lambda _: None, scenes={"end": (4, 4, (0,))}, limit=4)
    found = evaluate(view, random_policy(view), 5)
    assert found is not None
    assert found.columns[-1] == "end"
    assert found.values.shape == (5, len(found.columns))
    assert found.mean("end") == 4.0
    without = Evaluation(found.columns[:-1], found.values[:, :-1])
    lines = evaluation.table({"without": without, "with": found}).splitlines()
    assert lines[-1].split() == ["end", "-", "4", "[4,", "4]"]
    assert math.isnan(evaluation.UNDEFINED[0])
