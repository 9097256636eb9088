"""Time limits that are reported as death, and agents that leave without a last observation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from foreign_faults import Lonely, Registered
from foreign_toys import Masked, Scripted

from envs import adapters
from envs.foreign import registered


def play(view: Any, steps: int) -> list[Any]:
    view.reset(0)
    return [view.step(np.zeros((view.n_worlds, len(view.agents)), np.int64)) for _ in range(steps)]


@pytest.mark.parametrize("both", [False, True])
def test_all_dying_in_the_step_of_the_limit_is_truncation_and_said_once(both: bool) -> None:
    said: list[str] = []
    view = adapters.vector(Scripted, 2, 0, notify=said.append, limit=3, limit_kills=True, both=both)
    finals = [final for final, _ in play(view, 6)]
    assert [final.truncated.tolist() for final in finals] == [[False] * 2, [False] * 2, [True] * 2] * 2
    assert not any(final.terminated.any() for final in finals)
    assert finals[2].alive.all()
    assert finals[2].obs[0, :, 1].tolist() == [3, 3, 3]
    assert len(said) == 1
    assert said[0].startswith("Scripted: all agents that were left died in step 3, the time limit of the environment: ")


def test_one_line_for_all_the_vectors_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    make = adapters.prepare(Scripted, n_workers=0, limit=3, limit_kills=True).maker()
    for view in (make(2, stagger=True), make(2), make(3)):
        play(view, 3)
    assert capsys.readouterr().err.count("read as the limit") == 1


def test_all_dying_before_the_limit_is_death() -> None:
    view = adapters.vector(Scripted, 1, 0, limit=4, ends=((3, "die"),) * 3)
    final, _ = play(view, 3)[-1]
    assert final.terminated.all()
    assert not final.truncated.any()


def test_a_last_survivor_that_dies_in_the_step_of_the_limit_is_believed_until_more_is_known() -> None:
    lone = {"limit": 4, "ends": ((2, "die"), (2, "die"), (4, "die"))}
    final, _ = play(adapters.vector(Scripted, 1, 0, **lone), 4)[-1]
    assert final.terminated.tolist() == [[False, False, True]]
    assert not final.truncated.any()


class Changing(Scripted):
    """Reports its limit as `how` in the first episode; later all three die in that step, or only one is left."""

    def __init__(self, how: str, lone: bool = False, **options: Any) -> None:
        super().__init__(limit=3, **options)
        self.first, self.lone, self.episodes = how, lone, 0

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.episodes += 1
        self.limit_kills = self.first == "kills" or self.episodes > 1
        self.ends = ((2, "die"), (2, "die"), None) if self.lone and self.episodes > 1 else (None,) * 3
        return super().reset(seed)


def test_an_environment_that_was_seen_to_truncate_at_its_limit_is_believed() -> None:
    first, second = (play(adapters.vector(Changing, 1, 0, how="stops"), 6)[k][0] for k in (2, 5))
    assert first.truncated.all()
    assert second.terminated.all()
    assert not second.truncated.any()


def test_a_limit_reported_as_death_is_one_for_a_last_agent_too() -> None:
    view = adapters.vector(Changing, 1, 0, notify=lambda _: None, how="kills", lone=True)
    first, second = (play(view, 6)[k][0] for k in (2, 5))
    assert first.truncated.all()
    assert second.truncated.all()
    assert second.alive.tolist() == [[False, False, True]]
    assert not second.terminated.any()


@pytest.mark.parametrize("copies", [1, 2])
def test_a_single_agent_reported_dead_at_its_limit_is_truncated(copies: int) -> None:
    view = adapters.vector(Lonely, 1, 0, notify=lambda _: None, limit=4, n_copies=copies)
    final, _ = play(view, 4)[-1]
    assert final.truncated.all()
    assert not final.terminated.any()
    assert final.obs[0, :, 0].tolist() == [4] * copies
    # Gymnasium's own time limit says `truncated`, so a copy that is `terminated` as well has died.
    final, _ = play(adapters.vector(Lonely, 1, 0, limit=4, flags=(True, True), n_copies=copies), 4)[-1]
    assert final.terminated.all()
    final, _ = play(adapters.vector(Lonely, 1, 0, flags=(True, False), n_copies=copies), 5)[-1]
    assert final.terminated.all(), "no limit, no truncation"


def test_the_limit_that_is_asked_for_reaches_the_environment() -> None:
    name = "foreign_faults:CoterieRegistered-v0"
    for given, limit in ((None, 6), (9, 9), (2, 2)):
        options: dict[str, Any] = {} if given is None else {"max_episode_steps": given}
        view = adapters.vector(name, 1, 0, notify=lambda _: None, **options)
        assert view.max_steps == limit
        ends = [bool(final.truncated[0]) for final, _ in play(view, limit)]
        assert ends == [False] * (limit - 1) + [True]
    assert registered.make("CoterieRegistered-v0", other=3).unwrapped.other == 3  # pyright: ignore
    cart = registered.make("CartPole-v1", max_episode_steps=7)
    assert cart.spec is not None
    assert cart.spec.max_episode_steps == 7


def test_a_limit_that_the_environment_does_not_let_through_is_noted() -> None:
    import gymnasium

    def wrapped() -> Any:
        env = gymnasium.wrappers.TimeLimit(Registered(), 50)
        env.unwrapped.spec = gymnasium.spec("CoterieRegistered-v0")
        return env

    view = adapters.vector(wrapped, 1, 0)
    assert view.max_steps == 6
    assert view.notes == (
        "Gymnasium's limit is 50 steps, but the environment itself ends after 6; set the environment's own option to "
        "change that",
    )


class Blind(Scripted):
    """Shows no last observation to an agent that is truncated."""

    def step(self, actions: dict[str, Any]) -> Any:
        seen, paid, dies, stops, infos = super().step(actions)
        seen = {agent: None if stops[agent] and agent == "agent_1" else value for agent, value in seen.items()}
        return {a: v for a, v in seen.items() if not stops[a] or a == "agent_1"}, paid, dies, stops, infos


@pytest.mark.parametrize(("make", "how"), [(Scripted, "vanish"), (Blind, "leave")])
def test_an_agent_that_leaves_without_a_last_observation_has_the_one_before(make: Any, how: str) -> None:
    for when in (1, 3):  # right after the beginning, and later
        view = adapters.vector(make, 2, 0, ends=((when, how), None, None), limit=6)
        final, following = play(view, when)[-1]
        assert final.alive[0].tolist() == [False, True, True]
        assert not final.terminated.any()
        assert final.obs[0, 0, :2].tolist() == [1, when - 1]
        assert final.obs[0, 0, 2] > 0
        assert not following.obs[0, 0].any()
        assert following.obs[0, 1].tolist() == final.obs[0, 1].tolist()
        again, _ = view.step(np.zeros((2, 3), np.int64))
        assert not again.obs[0, 0].any()


@pytest.mark.parametrize(("make", "how"), [(Scripted, "vanish"), (Blind, "leave")])
def test_the_last_agents_may_leave_without_a_last_observation(make: Any, how: str) -> None:
    """There once was a false error that they are among the environment's agents."""
    view = adapters.vector(make, 1, 0, ends=((1, "die"), (2, how), (2, how)), limit=6, state=True)
    final, following = play(view, 2)[-1]
    assert final.truncated.tolist() == [True]
    assert final.alive.tolist() == [[False, True, True]]
    assert final.obs[0, :, :2].tolist() == [[0, 0], [2, 1], [3, 1]]
    assert following.alive.all()
    assert following.obs[0, :, 1].tolist() == [0, 0, 0]


class Shy(Scripted):
    """Has no state after the last agent has left."""

    def state(self) -> Any:
        if not self.agents:
            raise RuntimeError("nobody is there")
        return super().state()


def test_the_last_state_stands_where_there_is_none_after_the_end() -> None:
    final, _ = play(adapters.vector(Shy, 1, 0, limit=3, state=True), 3)[-1]
    assert final.truncated.all()
    assert final.state.tolist() == [[2, 1, 1, 1]]


class Hidden(Masked):
    """All its agents disappear in step 3, with their masks."""

    def step(self, actions: dict[str, Any]) -> Any:
        came = super().step(actions)
        if self.clock == 3:
            self.agents = []
            return {}, came[1], {}, {}, {}
        return came


def test_an_agent_that_leaves_without_a_last_observation_keeps_its_last_mask() -> None:
    view = adapters.vector(Hidden, 1, 0, where="dict")
    step = view.reset(0)
    for _ in range(3):
        assert step.action_mask is not None
        last = step.action_mask
        final, step = view.step(last.argmax(-1))
    assert final.truncated.all()  # pyright: ignore[reportPossiblyUnboundVariable]
    assert np.array_equal(final.action_mask, last)  # pyright: ignore
    assert final.obs[0, 0, 0] == 2  # pyright: ignore[reportPossiblyUnboundVariable]
