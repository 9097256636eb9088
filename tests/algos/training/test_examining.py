"""Evaluations: which episodes they play and count, when they end, what they report; and films that cannot be made."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counting import Counting
from foreign_toys import Scripted
from short_runs import CASES, rows, start
from toys import Endless, Match, Recall

from algos.core import Action, Obs
from algos.report.evaluation_progress import EvaluationProgress, EvaluationStatus
from algos.training import checkpoint, evaluation, examiner
from algos.training.contrast import LEARNED, SAMPLED, contrast_note, far_apart
from algos.training.evaluation import CHOOSING_SEED, FIRST_SEED, Evaluation, compare, evaluate, random_policy
from algos.training.schedule import Schedule
from envs import adapters
from envs.vector import VectorView


def hold(obs: Obs) -> Action:
    return np.zeros(obs.alive.shape, dtype=np.int64)


def add(obs: Obs) -> Action:
    return np.ones(obs.alive.shape, dtype=np.int64)


# ---- seeds


def test_training_choosing_and_judging_never_share_an_episode() -> None:
    """Three ranges of one 32-bit word: padded with zeros by `SeedSequence`, no two (seed, w, e) are equal."""
    assert 0 < FIRST_SEED < CHOOSING_SEED < 2**32
    edges = [0, FIRST_SEED - 1, FIRST_SEED, CHOOSING_SEED - 1, CHOOSING_SEED, 2**32 - 1]
    starts = {
        tuple(np.random.SeedSequence([seed, world, episode]).generate_state(2, np.uint64))
        for seed in edges
        for world in range(5)
        for episode in range(5)
    }
    assert len(starts) == len(edges) * 25
    # The trap that the ranges stay clear of: a seed of two words stands where another's world and episode do.
    of_two_words = np.random.SeedSequence([2**32, 5, 0]).generate_state(1)
    assert of_two_words == np.random.SeedSequence([0, 1, 5]).generate_state(1)


def test_the_episodes_that_choose_the_best_are_not_those_that_judge_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def spy(name: str) -> Any:
        real = getattr(examiner, name)

        def told(*arguments: Any, **options: Any) -> Any:
            asked.append((name, options.get("seed", FIRST_SEED)))
            return real(*arguments, **options)

        return told

    for name in ("evaluate", "compare"):
        monkeypatch.setattr(examiner, name, spy(name))
    start(tmp_path, *CASES["continuous"], schedule={"eval_every": 64, "eval_episodes": 2})
    assert asked == [("evaluate", CHOOSING_SEED), ("evaluate", CHOOSING_SEED), ("compare", FIRST_SEED)]


# ---- best.pt


def test_best_is_the_best_that_could_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations of -30, -10 on a full disk, -15, -20, NaN, -12 leave the policy of -12, not that of -30."""
    means = [-30.0, -10.0, -15.0, -20.0, float("nan"), -12.0]
    coming = iter(means)
    monkeypatch.setattr(examiner.Examiner, "evaluate", lambda *_: Evaluation(("return",), np.array([[next(coming)]])))
    write, kept = checkpoint.write_atomically, []

    def limited(path: Path, content: Any) -> None:
        if path.name == "best.pt":
            kept.append(path)
            if len(kept) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, content)

    monkeypatch.setattr(checkpoint, "write_atomically", limited)
    schedule = {"total_steps": 7 * 16, "eval_every": 16, "eval_episodes": 1}
    monkeypatch.setattr(examiner.Examiner, "compare", lambda *_: None)
    start(tmp_path, *CASES["continuous"], schedule=schedule)
    assert next(coming, None) is None
    best = checkpoint.load(tmp_path / "checkpoints" / "best.pt")
    assert best["run"]["best"] == -12.0
    assert best["run"]["steps"] == 6 * 16
    assert checkpoint.load_latest(tmp_path / "checkpoints")[1]["run"]["best"] == -12.0


def test_an_undefined_return_is_no_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coming = iter([float("nan"), -3.0])
    monkeypatch.setattr(examiner.Examiner, "evaluate", lambda *_: Evaluation(("return",), np.array([[next(coming)]])))
    monkeypatch.setattr(examiner.Examiner, "compare", lambda *_: None)
    start(tmp_path, *CASES["continuous"], schedule={"total_steps": 48, "eval_every": 16, "eval_episodes": 1})
    assert checkpoint.load(tmp_path / "checkpoints" / "best.pt")["run"]["best"] == -3.0


# ---- faults


def test_an_episode_that_a_dead_worker_cut_does_not_count() -> None:
    """Episodes of 8 steps at -1 each, say: the one cut after 4 would be a return of -4 among those of -8."""
    env = adapters.vector(Scripted, 2, 2, notify=lambda _: None)
    calls = 0

    def kill() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            os.kill(env._crew._workers[1].process.pid, signal.SIGKILL)  # pyright: ignore

    found = evaluate(env, hold, 4, watch=kill)
    env.close()
    assert found is not None
    assert found.values[:, found.columns.index("length")].tolist() == [8.0] * 4
    assert found.values[:, 0].tolist() == [80.0] * 4
    assert found.notes == (
        "1 episode was cut by a fault of the environment and does not count; another took its place",
    )


class Cut(Match):
    """Every third step is reported as cut short; its reward, a million, is not to be believed."""

    clocks = 0

    def step(self, action: Any) -> Any:
        final, following = super().step(action)
        self.clocks += 1
        self.full_episodes = np.full(self.n_worlds, self.clocks % 3 > 0)
        if self.clocks % 3 == 0:
            final = final._replace(reward=final.reward + 1e6)
        return final, following


def test_episodes_that_were_cut_choose_no_best(tmp_path: Path) -> None:
    """Through the real loop: neither the rows nor the highest return know the million."""
    start(
        tmp_path,
        lambda n: Cut(n),
        CASES["continuous"][1],
        schedule={"total_steps": 96, "eval_every": 16, "eval_episodes": 9},
    )
    assert max(row["eval/return"] for row in rows(tmp_path) if "eval/return" in row) <= 1.0
    assert checkpoint.load(tmp_path / "checkpoints" / "best.pt")["run"]["best"] <= 1.0


# ---- the end


class Forever:
    """Episodes without a known time limit and without deaths: they never end."""

    def __init__(self, n_worlds: int) -> None:
        self.inner = Endless(n_worlds)
        self.inner.max_steps = 10**9
        self.max_steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_an_evaluation_that_would_never_end_is_cut_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each world's first episode counts as it stands after the same number of steps; its second cannot begin."""
    monkeypatch.setattr(evaluation, "MOST_STEPS", 40)
    env: Any = Forever(3)
    found = evaluate(env, hold, 5)
    assert found is not None
    assert found.values[:, found.columns.index("length")].tolist() == [40.0] * 3
    assert found.mean("return") == 40.0
    assert found.notes == (
        "3 of 5 episodes lasted longer than 40 steps and count as they stood then (--eval-steps)",
        "2 of 5 episodes were not played: earlier ones did not end",
    )
    found = evaluate(env, hold, 5, most_steps=7)
    assert found is not None
    assert found.mean("length") == 7


def test_only_what_lasts_too_long_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """Against the same episodes uncut: shorter ones are as they were, longer ones are what they were by then."""
    view = VectorView(Counting(max_steps=1000), 4)
    whole, cut = evaluate(view, add, 4, seed=7), evaluate(view, add, 4, seed=7, most_steps=14)
    assert whole is not None
    assert cut is not None
    assert whole.notes == ()
    length = whole.columns.index("length")
    longer = whole.values[:, length] > 14
    assert 0 < longer.sum() < 4
    np.testing.assert_array_equal(whole.values[~longer], cut.values[~longer])
    assert (cut.values[longer, length] == 14).all()
    assert cut.notes[0].startswith(f"{longer.sum()} of 4 episodes lasted longer than 14 steps")


def test_a_run_is_not_held_up_by_an_evaluation_that_would_never_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, outcome = start(
        tmp_path,
        lambda n: Recall(n),
        CASES["memory"][1],
        schedule={"eval_every": 64, "eval_episodes": 3, "eval_steps": 2},
        policies={"random": random_policy},
    )
    assert outcome.comparison is not None
    assert outcome.comparison["random"].mean("length") == 2
    assert [note.split(":")[0] for note in outcome.notes if "lasted longer" in note] == ["learned", "random"]
    assert capsys.readouterr().err.count("lasted longer than 2 steps") == 1, "once, not at every evaluation"


def test_a_step_cap_must_not_be_negative() -> None:
    with pytest.raises(ValueError, match="eval_steps is -1; allowed are 0 to"):
        Schedule(eval_steps=-1)


# ---- progress


def test_an_evaluation_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[EvaluationStatus] = []
    found = compare(lambda n: Recall(n), {"a": lambda _: hold, "b": lambda _: hold}, 5, max_worlds=2, show=told.append)
    assert found is not None
    assert [(one.policy, one.number, one.policies) for one in told] == [("a", 1, 2)] * 9 + [("b", 2, 2)] * 9
    assert [one.finished for one in told[:9]] == [0, 0, 2, 2, 2, 4, 4, 4, 5]
    assert (told[8].steps, told[8].most) == (18, 18)

    clock = iter(np.arange(0.0, 1e3, 2.0))
    monkeypatch.setattr("algos.report.evaluation_progress.time.perf_counter", lambda: next(clock))
    shown = EvaluationProgress()
    for one in told:
        shown(one)
    shown.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "evaluating (a, 1 of 2): 2 of 5 episodes, 8 of at most 18 steps, at most 00:07 left"
    assert all(line.startswith("evaluating (") for line in lines)
    assert {line[:15] for line in lines} == {"evaluating (a, ", "evaluating (b, "}
    quiet = EvaluationProgress(quiet=True)
    for one in told:
        quiet(one)
    assert capsys.readouterr().err == ""


# ---- films


@pytest.mark.parametrize("fault", ["size", "raises", "nothing", "worlds"])
def test_a_film_that_cannot_be_made_is_a_note(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Odd(Recall):
        frames = 0

        def render(self, world: int = 0) -> Any:
            self.frames += 1
            if fault == "raises":
                raise ZeroDivisionError("in the paint")
            return None if fault == "nothing" else np.zeros((8, 8 + self.frames, 3), np.uint8)

    def make(n: int) -> Any:
        if fault == "worlds" and n == 1:
            raise RuntimeError("no worker starts")
        return Odd(n)

    _, outcome = start(tmp_path, make, CASES["memory"][1], schedule={"video_every": 32})
    assert outcome.finished
    said = capsys.readouterr().err
    assert said.count("no videos: ") == 1
    assert "Traceback" not in said


# ---- greedy and sampled


class Split(Match):
    """Two agents are paid 1 where they do different things; they see the same, so a greedy policy never does."""

    def observe(self) -> Any:
        return np.ones((*self.alive.shape, 4))

    def outcome(self, action: Any) -> Any:
        paid = (action[:, 0] != action[:, 1]).astype(float)
        return np.stack([paid, paid], -1), np.zeros_like(self.alive), paid


def evaluations(**returns: list[float]) -> dict[str, Evaluation]:
    return {name: Evaluation(("return",), np.array([values]).T) for name, values in returns.items()}


def test_a_greedy_policy_that_misleads_has_the_sampled_one_beside_it(tmp_path: Path) -> None:
    _, outcome = start(
        tmp_path,
        lambda n: Split(n),
        CASES["continuous"][1],
        schedule={"eval_episodes": 40},
        policies={"random": random_policy},
    )
    assert outcome.comparison is not None
    assert list(outcome.comparison) == [LEARNED, SAMPLED, "random"]
    assert outcome.comparison[LEARNED].mean("return") == 0.0
    assert outcome.comparison[SAMPLED].mean("return") > 0.5
    assert "sampling its actions the policy makes a return of 0." in outcome.notes[-1]
    assert "taking the most likely ones 0" in outcome.notes[-1]


def test_what_is_far_apart() -> None:
    few, wide = [0.17, 0.18, 0.19] * 7, [1.0, 0.9, 1.1] * 7
    assert far_apart(evaluations(learned=few, sampled=wide, random=[0.5, 0.56] * 9))
    assert far_apart(evaluations(learned=wide, sampled=few))
    assert not far_apart(evaluations(learned=few, sampled=few, random=wide))
    assert not far_apart(evaluations(learned=[694.0, 690.0] * 9, sampled=[640.0, 645.0] * 9, random=[0.0, 1.0] * 9))
    assert far_apart(evaluations(learned=[694.0, 690.0] * 9, sampled=[640.0, 645.0] * 9, random=[600.0, 610.0] * 9))
    assert not far_apart(evaluations(learned=[0.0, 1.0] * 9, sampled=[0.3, 0.9] * 9)), "the intervals meet"
    assert not far_apart(evaluations(learned=[float("nan")] * 20, sampled=wide))
    assert not far_apart(evaluations(learned=few[:3], sampled=wide[:3])), "too few to say"
    assert "a return of 1, taking the most likely ones 0.18:" in contrast_note(evaluations(learned=few, sampled=wide))
