"""Every environment of the table passes every check, and every check can fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest
from counting import Counting

import envs
from envs import conformance
from envs.conformance import BATCH_CHECKS, PARALLEL_CHECKS, VECTOR_CHECKS, batch
from envs.conformance.parallel import check_max_cycles
from envs.conformance.play import random_actions
from envs.core import Step
from envs.parallel import ParallelView

SMALL: dict[str, dict[str, Any]] = {
    name: {"max_steps": 60} for name in ("warehouse", "intersection", "signals", "edge_market")
}
"""Shorter episodes, so that the checks see whole ones in little time."""
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "intersection": [
        {},
        {"task": "liar-8", "continuous": True, "counterfactual": "absent", "n_emergency": 2, "lanes": 2},
        {"task": "quiet-4", "columns": 2, "intent": "none", "counterfactual": "stop", "flow": 6000.0},
    ],
    "signals": [
        {},
        {"task": "arterial-5", "lanes": 3, "n_blackouts": 2, "blackout_seconds": 100.0, "reward_kind": "pressure"},
        {"task": "single", "counterfactual": "hold", "flow": 900.0},
        {"consensus": "gossip", "consensus_loss": 0.3, "n_blackouts": 1, "n_liars": 1, "counterfactual": "hold"},
        {"task": "arterial-5", "consensus": "robust", "consensus_hops": 4, "consensus_rounds": 2},
    ],
    "spread": [
        {},
        {"n_agents": 4, "continuous": True, "counterfactual": "absent"},
        {"n_agents": 1},
        {"counterfactual": "shapley"},
    ],
    "warehouse": [
        {},
        {"continuous": True, "battery": True, "battery_capacity": 0.05, "counterfactual": "stop", "comm_blocked": True},
        {"task": "tiny-2", "dispatch": "claim", "counterfactual": "absent", "route_hint": False},
    ],
    "edge_market": [
        {},
        {"discrete": True, "rule": "vcg", "counterfactual": "absent", "failures": 2.0, "partition": 0.5},
        {"task": "duopoly-2", "rule": "posted", "bound": True, "counterfactual": "absent", "horizon": 2},
        {"consensus": "gossip", "consensus_loss": 0.3, "failures": 2.0, "counterfactual": "absent"},
        {"consensus": "hierarchical", "consensus_loss": 0.3, "partition": 0.5, "n_nodes": 12, "failures": 2.0},
        {"task": "byzantine-16", "consensus": "robust", "consensus_rounds": 2},
    ],
    "traffic_junction": [
        {},
        {"task": "easy-0", "counterfactual": "absent", "least_rate_share": 0.3, "n_cars": 3},
        {"task": "hard-1", "encoding": "published", "comm_range": 3.0},
    ],
    "rovers": [
        {},
        {"n_rovers": 5, "n_pois": 3, "coupling": 2, "continuous": True, "counterfactual": "absent", "size": 10.0},
        {"n_rovers": 1, "n_pois": 1},
    ],
    "whispers": [
        {},
        {"task": "whispers-4-slow", "source_persistence": 0.7, "n_symbols": 3, "n_agents": 5},
        {"game": "listener", "n_agents": 6, "n_symbols": 2},
    ],
}
"""Arguments worth the whole set of checks, by environment."""
CASES = [(name, variant) for name in envs.ENVS for variant in VARIANTS.get(name, [{}])]
named = pytest.mark.parametrize(
    ("name", "variant"), CASES, ids=[f"{name}-{'-'.join(kw) or 'default'}" for name, kw in CASES]
)


@pytest.mark.parametrize("check", BATCH_CHECKS + VECTOR_CHECKS, ids=lambda check: check.__name__)
@named
def test_dynamics(name: str, variant: dict[str, Any], check: Callable[..., None]) -> None:
    check(partial(envs.make, name, **{**SMALL.get(name, {}), **variant}))


@pytest.mark.parametrize("check", PARALLEL_CHECKS, ids=lambda check: check.__name__)
@named
def test_pettingzoo(name: str, variant: dict[str, Any], check: Callable[..., None]) -> None:
    def arguments(given: dict[str, Any]) -> dict[str, Any]:
        limit = {} if "max_cycles" in given else SMALL.get(name, {})
        return {**limit, **variant, **given}

    check(lambda **kw: envs.parallel_env(name, **arguments(kw)), lambda **kw: envs.aec_env(name, **arguments(kw)))


@pytest.mark.parametrize(
    ("name", "task"), [(name, task) for name in envs.ENVS for task in sorted(envs._module(name).TASKS)]
)
def test_every_task_starts_steps_and_draws(name: str, task: str) -> None:
    make = partial(envs.make, name, task)
    batch.check_spaces(make)
    batch.check_metrics_documented(make)
    env = make()
    state, step = env.reset([0, 1])
    rng = np.random.default_rng(0)
    for _ in range(5):
        state, step = env.step(state, random_actions(env, step, rng))
        batch._check_step(env, state, step, 2)
    assert env.render(state, 1).ndim == 3


@pytest.mark.parametrize("variant", [{}, {"continuous": True}, {"late": True}], ids=str)
def test_the_counting_environment_passes_all(variant: dict[str, Any]) -> None:
    conformance.check_batch_env(partial(Counting, **variant))
    conformance.check_vector(partial(Counting, **variant))
    conformance.check_parallel_env(partial(counting_view, Counting, **variant))


# Broken environments, one for each check


def counting_view(kind: type[Counting], max_cycles: int = 12, render_mode: str | None = None, **kw: Any) -> Any:
    return ParallelView(kind(max_steps=max_cycles, **kw), render_mode=render_mode)


class Remembers(Counting):
    """Its state is not all in `State`."""

    calls = 0

    def step(self, state: Any, action: Any) -> Any:
        self.calls += 1
        state, step = super().step(state, action)
        return state, step._replace(cost=step.cost + np.float32(self.calls))


class WritesIntoItsState(Counting):
    def step(self, state: Any, action: Any) -> Any:
        np.add(state.total, 1, out=state.total)
        return super().step(state, action)


class ReusesItsBuffers(Counting):
    buffer: Any = None

    def step(self, state: Any, action: Any) -> Any:
        state, step = super().step(state, action)
        if self.buffer is None or self.buffer.shape != step.obs.shape:
            self.buffer = step.obs
        self.buffer[:] = step.obs
        return state, step._replace(obs=self.buffer)


class MixesWorlds(Counting):
    def step(self, state: Any, action: Any) -> Any:
        state, step = super().step(state, action)
        return state, step._replace(cost=step.cost + step.reward.mean(dtype=np.float32))


class IgnoresItsSeed(Counting):
    def reset(self, seeds: Any) -> Any:
        return super().reset([0] * len(seeds))


class DrawsFromTheEntropyPool(Counting):
    def reset(self, seeds: Any) -> Any:
        return super().reset(np.random.default_rng().integers(2**62, size=len(seeds)).tolist())


class DrawsFromGlobalState(Counting):
    def step(self, state: Any, action: Any) -> Any:
        np.random.random()  # noqa: NPY002 - the fault
        return super().step(state, action)


class Resurrects(Counting):
    def step(self, state: Any, action: Any) -> Any:
        new, step = super().step(state, action)
        alive = new.alive | (new.counter >= new.limit) & ~step.terminated
        return new._replace(alive=alive), step._replace(alive=alive)


class TerminatesTwice(Counting):
    def step(self, state: Any, action: Any) -> Any:
        new, step = super().step(state, action)
        return new, step._replace(terminated=~step.alive)


class PaysTheDead(Counting):
    def step(self, state: Any, action: Any) -> Any:
        new, step = super().step(state, action)
        return new, step._replace(reward=np.where(state.alive, step.reward, 1).astype(np.float32))


class ObeysTheDead(Counting):
    def step(self, state: Any, action: Any) -> Any:
        new, step = super().step(state, action)
        return new, step._replace(team_reward=np.asarray(action, np.float32).sum(axis=1))


class LeavesItsBox(Counting):
    def show(self, *args: Any) -> Step:
        step = super().show(*args)
        return step._replace(obs=step.obs * 3)


class ShowsDoubles(Counting):
    def show(self, *args: Any) -> Step:
        step = super().show(*args)
        return step._replace(reward=step.reward.astype(np.float64))


class NeverEnds(Counting):
    def show(self, *args: Any) -> Step:
        step = super().show(*args)
        return step._replace(truncated=np.zeros_like(step.truncated))


class HidesAMetric(Counting):
    def show(self, *args: Any) -> Step:
        step = super().show(*args)
        return step._replace(metrics={**step.metrics, "undocumented": step.team_reward})


class BlamesAgentsForThemselves(Counting):
    def counterfactual(self, state: Any, action: Any) -> Any:
        return super().counterfactual(state, action) + self.added(state, action).astype(np.float32)


class TakesAnything(Counting):
    def added(self, state: Any, action: Any) -> Any:
        clean = np.nan_to_num(np.asarray(action, np.float64)).clip(0, 2)
        return super().added(state, clean.astype(np.int64))


class CannotBePickled(Counting):
    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self.stream = (i for i in range(3))


class DrawsNothing(Counting):
    def render(self, state: Any, world: int = 0) -> Any:
        return np.zeros((8, 8, 3), np.uint8)


class DrawsAlwaysTheFirst(Counting):
    def render(self, state: Any, world: int = 0) -> Any:
        return super().render(state, 0)


class HasNoVersion(Counting):
    name = "counting"


class WritesIntoOneBuffer(Counting):
    """One after the other no thread is disturbed; at the same time all are."""

    buffer: ClassVar[list[Any]] = [None]

    def show(self, *args: Any) -> Step:
        step = super().show(*args)
        self.buffer[0] = step.obs
        time.sleep(1e-4)
        return step._replace(obs=self.buffer[0].copy())


class CopiesCountTogether(Counting):
    calls: ClassVar[dict[int, int]] = {}

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self.family = id(self)  # copies keep it

    def step(self, state: Any, action: Any) -> Any:
        self.calls[self.family] = self.calls.get(self.family, 0) + 1
        state, step = super().step(state, action)
        return state, step._replace(cost=step.cost + np.float32(self.calls[self.family]))


BROKEN: list[tuple[type[Counting], str]] = [
    (HasNoVersion, "check_spaces"),
    (LeavesItsBox, "check_episodes"),
    (ShowsDoubles, "check_episodes"),
    (NeverEnds, "check_episodes"),
    (Resurrects, "check_episodes"),
    (TerminatesTwice, "check_episodes"),
    (PaysTheDead, "check_episodes"),
    (HidesAMetric, "check_metrics_documented"),
    (Remembers, "check_purity"),
    (WritesIntoItsState, "check_purity"),
    (ReusesItsBuffers, "check_purity"),
    (MixesWorlds, "check_rows"),
    (IgnoresItsSeed, "check_seeds"),
    (DrawsFromTheEntropyPool, "check_seeds"),
    (DrawsFromGlobalState, "check_seed_kinds"),
    (ObeysTheDead, "check_dead"),
    (BlamesAgentsForThemselves, "check_counterfactual"),
    (TakesAnything, "check_bad_actions"),
    (CannotBePickled, "check_pickle"),
    (DrawsNothing, "check_render"),
    (DrawsAlwaysTheFirst, "check_render"),
    (Remembers, "check_auto_reset"),
    (Remembers, "check_continuation"),
    (WritesIntoOneBuffer, "check_threads"),
    (CopiesCountTogether, "check_vector_copies"),
    (CannotBePickled, "check_vector_copies"),
]


@pytest.mark.parametrize(("kind", "name"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_environment_is_found_out(kind: type[Counting], name: str) -> None:
    check = {check.__name__: check for check in BATCH_CHECKS + VECTOR_CHECKS}[name]
    check(Counting)
    with pytest.raises(AssertionError):
        check(kind)


def test_every_check_is_seen_to_fail() -> None:
    assert {check.__name__ for check in BATCH_CHECKS + VECTOR_CHECKS} == {name for _, name in BROKEN}
    assert {check.__name__ for check in PARALLEL_CHECKS} == set(BROKEN_VIEWS)


class HandsOutItsOwn(ParallelView):
    def state(self) -> Any:
        assert self._step is not None
        return self._step.state[0]


class NewSpaces(ParallelView):
    def action_space(self, agent: str) -> Any:
        return type(self.env)().action_space


class ForgetsItsSeed(ParallelView):
    def reset(self, seed: Any = None, options: Any = None) -> Any:
        return super().reset(None)


class StateOutside(ParallelView):
    def state(self) -> Any:
        return super().state() + 7


class Black(ParallelView):
    def render(self) -> Any:
        frame = super().render()
        return None if frame is None else frame * 0


class EndsEarly(ParallelView):
    def step(self, actions: Any) -> Any:
        shown = super().step(actions)
        if self._state.time[0] >= 2:
            self.agents = []
            return (*shown[:3], dict.fromkeys(shown[3], True), shown[4])
        return shown


class DrawsInStep(ParallelView):
    def step(self, actions: Any) -> Any:
        obs, *rest = super().step(actions)
        return {agent: value + np.random.default_rng().random(1) for agent, value in obs.items()}, *rest


class ForgivesEverything(ParallelView):
    def step(self, actions: Any) -> Any:
        try:
            return super().step(actions)
        except ValueError:
            return super().step(dict.fromkeys(self.agents, 0))


class OneWorldForAll(ParallelView):
    def reset(self, seed: Any = None, options: Any = None) -> Any:
        return super().reset(0)


class ShowsWhatOthersSee(ParallelView):
    last: ClassVar[list[Any]] = [None]

    def _observations(self, step: Any, agents: Any, rows: Any) -> Any:
        self.last[0] = super()._observations(step, agents, rows)
        time.sleep(1e-4)
        return self.last[0]


BROKEN_VIEWS: dict[str, type[ParallelView]] = {
    "check_api": NewSpaces,
    "check_pettingzoo_seeds": ForgetsItsSeed,
    "check_state": StateOutside,
    "check_pettingzoo_render": Black,
    "check_max_cycles": EndsEarly,
    "check_long_seeds": DrawsInStep,
    "check_copies": HandsOutItsOwn,
    "check_parallel_threads": ShowsWhatOthersSee,
    "check_misuse": ForgivesEverything,
    "check_supersuit": OneWorldForAll,
}


@pytest.mark.parametrize("check", PARALLEL_CHECKS, ids=lambda check: check.__name__)
def test_a_broken_view_is_found_out(check: Callable[..., None]) -> None:
    from pettingzoo.utils import parallel_to_aec

    kind = BROKEN_VIEWS[check.__name__]

    def parallel(max_cycles: int = 12, render_mode: str | None = None) -> Any:
        return kind(Counting(max_steps=max_cycles), render_mode=render_mode)

    with pytest.raises(AssertionError):
        check(parallel, lambda **kw: parallel_to_aec(parallel(**kw)))


def test_an_early_end_is_found_out_where_agents_come_later() -> None:
    from pettingzoo.utils import parallel_to_aec

    def parallel(kind: type[ParallelView], max_cycles: int = 12) -> Any:
        return kind(Counting(n_agents=2, max_steps=max_cycles, late=True))

    def aec(kind: type[ParallelView], **kw: Any) -> Any:
        return parallel_to_aec(parallel(kind, **kw))

    check_max_cycles(partial(parallel, ParallelView), partial(aec, ParallelView))
    with pytest.raises(AssertionError, match="steps with"):
        check_max_cycles(partial(parallel, EndsEarly), partial(aec, EndsEarly))
    with pytest.raises(AssertionError, match="acts"):
        check_max_cycles(partial(parallel, ParallelView), partial(aec, EndsEarly))
