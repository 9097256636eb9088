"""Values that foreign environments must not return are refused at once, in one line that names them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from foreign_faults import Lonely, Unpaid

from envs import adapters

HERE = r"the environment died in world 1, step 3 of the episode that began with reset\(seed=\d+\): "


def walk(view: Any, steps: int) -> None:
    for _ in range(steps):
        for step in view.step(np.zeros((view.n_worlds, len(view.agents)), np.int64)):
            assert np.isfinite(step.obs).all()
            assert np.isfinite(step.reward).all()


def broken(make: Any, n_workers: int = 0, **options: Any) -> tuple[adapters.WorkerError, Any]:
    """Returns the error of the step in which only world 1 is faulty."""
    view = adapters.vector(make, 2, n_workers, notify=lambda _: None, **options)
    view.reset(0)
    if not n_workers:
        view._crew._block.worlds[0].env.when = 10**9  # pyright: ignore
    with pytest.raises(adapters.WorkerError) as raised:
        walk(view, 20)
    assert "\n" not in str(raised.value)
    return raised.value, view


@pytest.mark.parametrize(
    ("how", "line"),
    [
        (
            "missing",
            r"there is no reward of agent 'agent_1', which acted; there are rewards of \['agent_0', 'agent_2'\]",
        ),
        ("misspelt", r"there is no reward of agent 'agent_1', which acted; .*'agent-1'\]"),
        ("flag", r"terminations name 'agent-1', which is not among possible_agents"),
        ("unseen", r"there is no observation of agent 'agent_1', which is among the environment's agents"),
        ("vector", r"reward of agent 'agent_1' is of shape \(3,\); it must be one number"),
        ("none", r"reward of agent 'agent_1' is None; it must be one number"),
        ("text", r"reward of agent 'agent_1' is 'text'; it must be one number"),
        ("nan", r"reward of agent 'agent_1' is nan; an environment must return finite numbers"),
        ("-inf", r"reward of agent 'agent_1' is -inf; "),
        ("1e39", r"reward of agent 'agent_1' is inf; "),
        ("see nan", r"observation of agent 'agent_1' is nan at index 2; an environment must return finite numbers"),
        ("see inf", r"observation of agent 'agent_1' is inf at index 2; "),
        ("cost nan", r"cost of agent 'agent_1' is nan; "),
        ("team_reward inf", r"team_reward is inf; "),
    ],
)
def test_a_fault_is_named_with_world_step_agent_and_field(how: str, line: str) -> None:
    error, _ = broken(Unpaid, how=how)
    assert re.match(HERE + line, str(error)), str(error)
    assert not error.traceback, "whoever reads the line needs no traceback of ours"


def test_the_moment_is_that_of_the_fault_where_the_episode_ended_in_it() -> None:
    error, _ = broken(Unpaid, how="nan", limit=3)
    assert "in world 1, step 3 of the episode" in str(error)
    error, _ = broken(Unpaid, how="missing", limit=3, ends=((3, "die"), (3, "die"), None))
    assert "no reward of agent 'agent_1'" in str(error)


def test_an_array_of_one_number_is_a_number() -> None:
    view = adapters.vector(Unpaid, 1, 0, how="one", limit=5)
    view.reset(0)
    finals = [view.step(np.zeros((1, 3), np.int64))[0] for _ in range(3)]
    assert [final.reward[0].tolist() for final in finals] == [[0, 10, 20], [0, 10, 20], [0, 5, 20]]


def test_an_agent_that_vanishes_with_its_reward_is_said_once() -> None:
    said: list[str] = []
    view = adapters.vector(Unpaid, 2, 0, notify=said.append, how="vanishes", limit=5)
    view.reset(0)
    finals = [view.step(np.zeros((2, 3), np.int64))[0] for _ in range(9)]
    assert finals[2].reward.tolist() == [[0, 0, 20]] * 2
    assert finals[2].alive.tolist() == [[True, False, True]] * 2
    assert not finals[2].terminated.any()
    assert len(said) == 1
    assert said[0].startswith(
        "Unpaid: agent 'agent_1' disappeared without a reward, which counts as 0 (first in world 0,"
    )


def test_entries_of_dead_agents_are_still_ignored() -> None:
    view = adapters.vector(Unpaid, 1, 0, how="see nan", clock=2, ends=(None, (2, "die"), None), keeps_dead=True)
    view.reset(0)
    for _ in range(4):
        final, _ = view.step(np.zeros((1, 3), np.int64))
    assert np.isfinite(final.obs).all()  # pyright: ignore[reportPossiblyUnboundVariable]


@pytest.mark.parametrize("copies", [1, 2])
def test_a_copy_that_pays_nan_is_named(copies: int) -> None:
    view = adapters.vector(Lonely, 2, 0, paid=float("nan"), n_copies=copies)
    view.reset(0)
    for _ in range(2):
        view.step(np.zeros((2, copies), np.int64))
    with pytest.raises(adapters.WorkerError, match=r"in world 0, step 3 .*reward of agent 'learner_0' is nan"):
        view.step(np.zeros((2, copies), np.int64))


def test_a_worker_refuses_in_one_line_starts_again_and_ends_at_the_second_time() -> None:
    said: list[str] = []
    view = adapters.vector(Unpaid, 2, 1, notify=said.append, how="see nan")
    view.reset(0)
    with pytest.raises(adapters.WorkerError, match=r"worker 0 .* observation of agent 'agent_1' is nan at index 2"):
        walk(view, 20)
    assert len(said) == 1
    assert "\n" not in said[0]
    view.close()
