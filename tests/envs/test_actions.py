"""What is no action is refused in one clear line, in every environment and by all of its views."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

import envs
from envs.kit.actions import checked, fault

ALWAYS_DISCRETE = ("signals", "traffic_junction", "whispers")
LINES = [
    (name, variant)
    for name in sorted(envs.ENVS)
    for variant in ("discrete", "box")
    if variant == "discrete" or name not in ALWAYS_DISCRETE
]


def variant(name: str, kind: str) -> dict[str, Any]:
    if name == "edge_market":
        return {"discrete": kind == "discrete"}
    return {"continuous": kind == "box"} if name not in ALWAYS_DISCRETE else {}


NO_CHOICE: list[Any] = [
    10**30,
    -(10**30),
    True,
    False,
    np.True_,
    np.array(True),
    torch.tensor(True),
    1.0,
    np.float32(1),
]
NO_CHOICE += [None, "1", [1], np.array([1]), {}, 1j, -1, 10**6000, np.uint64(2**63), np.nan]
NO_NUMBERS: list[Any] = [np.nan, np.inf, 1e300, 10**30, True, 1j, "a", None]


def refused(call: Any, *args: Any) -> str:
    with pytest.raises(ValueError, match=r"give|must be") as caught:
        call(*args)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 400
    return line


@pytest.mark.parametrize(("name", "kind"), LINES)
def test_dictionaries_and_turns(name: str, kind: str) -> None:
    given = variant(name, kind)
    view, turns = envs.parallel_env(name, **given), envs.aec_env(name, **given)
    view.reset(seed=0)
    agent = view.agents[0]
    space = view.action_space(agent)
    good = {one: view.action_space(one).sample() for one in view.agents}
    bad = NO_CHOICE if isinstance(space, Discrete) else [np.full(space.shape, value) for value in NO_NUMBERS]
    if isinstance(space, Box):
        bad += [space.high + 1, np.zeros(3 * len(space.low)), 0.0, [[0.0]], {}, [10**30] * len(space.low), None, True]
    for value in bad:
        assert refused(view.step, {**good, agent: value}).startswith(f"action of {agent} is ")
        refused(view.counterfactual_rewards, {**good, agent: value}) if name != "signals" else None
    view.step(good)  # nothing is lost

    turns.reset(seed=0)
    for value in bad:
        assert turns.agent_selection == agent
        refused(turns.step, value)  # at once, while it can still choose again
    alone = len(turns.agents) == 1
    turns.step(good[agent])
    assert alone or turns.agent_selection != agent


@pytest.mark.parametrize(("name", "kind"), LINES)
def test_batches(name: str, kind: str) -> None:
    view = envs.vector(name, 2, **variant(name, kind))
    view.reset(0)
    space = view.action_space
    row = (2, len(view.agents), *(() if isinstance(space, Discrete) else space.shape))
    good = np.zeros(row, np.int64 if isinstance(space, Discrete) else np.float32)
    for value in (10**30, True, 1j, "a", None, np.nan):
        refused(view.step, np.full(row, value))
    refused(view.step, None)
    refused(view.step, [[1, 2], [1]])
    refused(view.step, good[:1])
    refused(view.step, [good.tolist()[0], good.tolist()[1][:-1]])
    if isinstance(space, Discrete):
        refused(view.step, good + 0.0)
        refused(view.step, good + int(space.n))
        refused(view.step, np.full(row, 2**63, np.uint64))
        view.step(good.astype(np.int8))
    else:
        refused(view.step, good + space.high + 1)
        view.step(good.astype(np.float64))
    view.step(good)


def test_an_agent_that_is_gone_can_only_do_nothing() -> None:
    turns = envs.aec_env("spread", max_cycles=1)
    turns.reset(seed=0)
    for _ in turns.possible_agents:
        turns.step(0)
    with pytest.raises(ValueError, match=r"agent_0 has terminated or was truncated and cannot act any more: give None"):
        turns.step(0)
    for _ in turns.possible_agents:
        turns.step(None)
    assert not turns.agents


def test_rows_of_the_dead_may_hold_any_number() -> None:
    alive = np.array([[True, False]])
    assert checked(Discrete(3, start=1), [[2, 99]], alive).tolist() == [[2, 1]]
    box = Box(np.array([0, -2], np.float32), np.array([1, 2], np.float32))
    given = np.array([[[1.0, -2.0], [np.nan, 9.0]]])
    assert checked(box, given, alive).tolist() == [[[1, -2], [0, -2]]]
    with pytest.raises(ValueError, match="agent 1 in world 0"):
        checked(box, given, ~alive | alive)


@pytest.mark.parametrize("value", [3, np.int8(3), np.array(3), torch.tensor(3)])
def test_whole_numbers_of_any_type_are_choices(value: Any) -> None:
    assert fault(Discrete(5), value) == ""


def test_bounds_that_differ_are_told() -> None:
    box = Box(np.array([0, -2], np.float32), np.array([1, 2], np.float32))
    assert fault(box, [0.5, -2.5]) == "[0.5, -2.5]; it must be 2 numbers from [0.0, -2.0] to [1.0, 2.0], all finite"
