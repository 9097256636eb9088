"""The checks that an algorithm must pass, importable by anyone who writes one.

    from algos.training.conformance import CHECKS, SPECS, builder

    build = builder(ALGOS["mappo"], hidden=(8,), rollout_steps=6)
    for check in CHECKS:
        for spec in SPECS.values():
            check(build, spec)
    check_learns(builder(ALGOS["mappo"], hidden=(32,), rollout_steps=16, lr=3e-3))

A check raises `AssertionError` where the algorithm breaks a promise of `core.Algorithm`. Checks drive an algorithm with
random play until it has learned a few times, so give it small networks, and options with which it learns after a few
steps of five worlds.

Axes: B worlds, N agents, O observation, A actions.
"""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable, Collection
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from ..core import Action, Algorithm, Array, Obs, Spec, Transition
from .checkpoint import pack, unpack
from .random_play import Stream, check_actions, drive, same

SPECS: dict[str, Spec] = {
    "discrete": Spec(3, 4, 2, Discrete(3), ((0, 2), (1,))),
    "box": Spec(3, 4, 0, Box(-1.0, 2.0, (2,), np.float32), ((0, 2), (1,))),
    "image": Spec(3, 40, 0, Discrete(3), ((0, 2), (1,)), obs_shape=(2, 4, 5)),
}
"""Shapes that every algorithm must take."""
EXPERIENCE = ("rollout", "pending")
"""Entries of `state_dict` that hold transitions as they came, with whatever the dead were shown."""
CHANCE = ("counter",)
"""Parts of a memory that count steps for the chance of acting, and so go on from one episode to the next."""
LEAST_STEPS = 15
"""Steps of random play before something is checked: a rollout of 6 is half full, a replay of 12 has gone round."""
MOST_STEPS = 2_000
"""An algorithm that has not learned twice by then is given up."""


class Build(Protocol):
    """Makes an algorithm with the options that are to be checked."""

    def __call__(self, spec: Spec, *, seed: int) -> Algorithm:
        """Builds it for these shapes; all its chance comes from `seed`."""
        ...


class EntryLike(Protocol):
    """The fields of an entry of the table `ALGOS` that building needs."""

    @property
    def config(self) -> type:
        """The dataclass of its options."""
        ...

    @property
    def algorithm(self) -> type:
        """The class that is built from shapes and options."""
        ...


def builder(entry: EntryLike, **options: Any) -> Build:
    """Returns a `Build` of an entry of the table, with these fields of its config."""

    def build(spec: Spec, *, seed: int) -> Algorithm:
        return entry.algorithm(spec, entry.config(**options), seed=seed)

    return build


def check_seed(build: Build, spec: Spec) -> None:
    """Checks that the same seed gives the same bytes, another seed another policy, and no global generator is used."""
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002 - it must not move
    (one, played), (two, again), (other, _) = (_trained(build, spec, seed=seed) for seed in (3, 3, 4))
    assert same(played, again), "two algorithms of one seed act or learn differently"
    assert same(_everything(one), _everything(two)), "two algorithms of one seed are in different states"
    assert not same(one.policy.state_dict(), other.policy.state_dict()), "another seed makes the same policy"
    assert torch.equal(torch_state, torch.get_rng_state()), "torch's global generator was used"
    assert same(numpy_state, np.random.get_state()), "numpy's global generator was used"  # noqa: NPY002


def check_resume(build: Build, spec: Spec) -> None:
    """Checks that, saved to disk between an act and its observe and loaded elsewhere, it continues bit for bit.

    The state is one of tensors, arrays and plain data, and it does not change while its owner learns on.
    """
    one, stream = _begun(build, spec, seed=3)
    one.progress = 0.25
    _until_learned(one, stream)
    action = one.act(stream.now)
    kept, replay = one.state_dict(), one.replay
    as_it_was = copy.deepcopy(kept)
    content = _through_a_file({"algo": kept, "replay": None if replay is None else replay.state_dict()})

    two = build(spec, seed=99)
    two.load_state_dict(content["algo"])
    two.begin(stream.now)
    if two.replay is not None:
        two.replay.load_state_dict(content["replay"])
    twin = copy.deepcopy(stream)
    transition, again = stream.step(action), twin.step(action)
    one.observe(transition)
    two.observe(again)
    updated = one.update(), two.update()
    assert same(*updated), "loaded, it learns differently"
    assert same(_until_learned(one, stream), _until_learned(two, twin)), "loaded, it acts or learns differently"
    assert same(_everything(one), _everything(two)), "loaded, it ends in another state"
    assert same(kept, as_it_was), "a state that was handed out changes while its owner learns"
    assert not same(kept["policy"], one.state_dict()["policy"]), "its policy does not change by learning"


def check_dead(build: Build, spec: Spec, experience: Collection[str] = EXPERIENCE) -> None:
    """Checks that observations, masks and rewards of agents that are not alive change no byte of what is learned.

    Args:
        build: Makes the algorithm.
        spec: Its shapes.
        experience: Entries of `state_dict` that hold raw transitions, and are not compared.
    """
    results = []
    for noise in (None, 1, 2):
        algo, stream = _begun(build, spec, seed=3, noise=noise)
        stats = [one for one in _until_learned(algo, stream) if isinstance(one, dict)]
        for update in stats:
            for name, value in update.items():
                assert math.isfinite(value), f"{name} is {value} where agents die"
        learned = {name: part for name, part in algo.state_dict().items() if name not in experience}
        results.append((stats, learned))
    for other in results[1:]:
        for name, part in results[0][1].items():
            assert same(part, other[1].get(name)), f"{name} depends on what the dead observe or earn"
        assert same(results[0][0], other[0]), "statistics of updates depend on what the dead observe or earn"


def check_acting(build: Build, spec: Spec) -> None:
    """Checks that actions, greedy or not, before and after learning, fit their space and their masks."""
    algo, stream = _begun(build, spec, seed=3)
    for _ in range(2):
        for greedy in (True, False):
            check_actions(algo.act(stream.now, greedy=greedy), stream.now, spec)
        algo.take_back()
        _until_learned(algo, stream)  # checks every action on its way


def check_take_back(build: Build, spec: Spec) -> None:
    """Checks that an act that is taken back leaves no trace in the next actions or in what is learned."""
    (steady, one), (hesitant, two) = (_begun(build, spec, seed=3) for _ in range(2))
    hesitant.take_back()  # nothing to take back is no mistake
    for _ in range(LEAST_STEPS):
        before = hesitant.state_dict()
        hesitant.act(two.now)
        hesitant.take_back()
        assert same(before, hesitant.state_dict()), "taken back, an act leaves something in the state"
        assert same(drive(steady, one, 1), drive(hesitant, two, 1)), "taken back, an act changes the next one"
    assert same(_everything(steady), _everything(hesitant)), "taken back, an act changes what is learned"


def check_greedy(build: Build, spec: Spec) -> None:
    """Checks that greedy acting in other worlds changes neither exploration nor learning, and draws nothing."""
    (quiet, one), (busy, two) = (_begun(build, spec, seed=3) for _ in range(2))
    aside = Stream(spec, n_worlds=2, seed=7)
    for _ in range(LEAST_STEPS):
        assert same(drive(quiet, one, 1), drive(busy, two, 1)), "greedy acting disturbs training"
        first = busy.act(aside.now, greedy=True)
        check_actions(first, aside.now, spec)
        aside.step(first)
    _until_learned(quiet, one)
    _until_learned(busy, two)
    assert same(quiet.state_dict()["policy"], busy.state_dict()["policy"]), "greedy acting changes what is learned"


def check_policy(build: Build, spec: Spec) -> None:
    """Checks that the entry "policy" of a state, read from a file, acts elsewhere as its owner does."""
    one, stream = _begun(build, spec, seed=3)
    _until_learned(one, stream)
    two = build(spec, seed=99)
    two.policy.load_state_dict(_through_a_file(one.state_dict()["policy"]))
    policy, memory = two.policy, two.policy.first_memory(stream.b)
    for _ in range(LEAST_STEPS):
        obs = stream.now
        action = one.act(obs, greedy=True)
        assert same(action, two.act(obs, greedy=True)), "a policy that was loaded acts differently"
        alone, memory = policy.act(obs, memory, None)
        assert same(action[obs.alive], alone[obs.alive]), "a policy alone acts differently from its algorithm"
        stream.step(action)


def check_memory(build: Build, spec: Spec) -> None:
    """A policy acts by what agents may see and by its memory, which it returns anew and forgets where worlds start."""
    algo, stream = _begun(build, spec, seed=3)
    _until_learned(algo, stream)
    policy = algo.policy
    memory = first = policy.first_memory(stream.b)
    for _ in range(LEAST_STEPS):
        obs = stream.now
        kept = copy.deepcopy(memory)
        action, after = policy.act(obs, memory, None)
        assert same(memory, kept), "acting changes the memory that it is given"
        for name, part in after.items():
            shape = tuple(part.shape[:2])
            assert shape == obs.alive.shape, f"memory {name!r} begins with {shape}, not with worlds and agents"
        blind = obs._replace(state=np.full_like(obs.state, np.nan))
        assert same(policy.act(blind, memory, None)[0], action), "actions depend on the global state"
        anew = obs._replace(started=np.ones_like(obs.started))
        chance = {name: memory[name] for name in CHANCE if name in memory}
        started = policy.act(anew, memory, None), policy.act(anew, {**first, **chance}, None)
        assert same(*started), "its memory outlives an episode"
        memory = after
        stream.step(action)


CHECKS: tuple[Callable[[Build, Spec], None], ...] = (
    check_seed,
    check_resume,
    check_dead,
    check_acting,
    check_take_back,
    check_greedy,
    check_policy,
    check_memory,
)
"""Every check that needs no more than shapes; `check_learns` asks for options with which the algorithm learns fast."""


class Matching:
    """Worlds of one step: an agent sees one of three numbers, and earns 1 by choosing it. Chance earns a third.

    Attributes:
        now: The observations to act on next.
    """

    spec = Spec(2, 3, 6, Discrete(3), ((0, 1),))

    def __init__(self, n_worlds: int = 16, seed: int = 0) -> None:
        self.rng, self.n_worlds = np.random.default_rng(seed), n_worlds
        self.now = self._shown()

    def step(self, action: Action) -> Transition:
        """Ends all worlds and starts the next."""
        before, reward = self.now, self.right(action)
        self.now = self._shown()
        yes = np.ones(self.n_worlds, bool)
        died = np.ones(reward.shape, bool)
        final = before._replace(alive=~died, started=~yes, action_mask=None)
        return Transition(
            obs=before,
            action=action,
            reward=reward,
            team_reward=reward.sum(1),
            counterfactual=None,
            cost=np.zeros_like(reward),
            terminated=died,
            truncated=~yes,
            final=final,
            ended=yes,
        )

    def right(self, action: Action) -> Array:
        """Returns (B, N) float32: 1 where the action is the number that is shown."""
        return (action == self.now.obs.argmax(-1)).astype(np.float32)

    def _shown(self) -> Obs:
        shape = (self.n_worlds, self.spec.n_agents)
        seen = np.eye(3, dtype=np.float32)[self.rng.integers(3, size=shape)]  # (B, N, 3)
        alive = np.ones(shape, bool)
        adjacency = np.ones((*shape, shape[1]), bool)
        return Obs(seen, seen.reshape(shape[0], -1), adjacency, alive, None, np.ones(shape[0], bool))


def check_learns(build: Build, *, steps: int = 2_000, least: float = 0.95) -> None:
    """Checks that it learns `Matching` within so many steps of 16 worlds: greedy actions are nearly always right."""
    play, asked, share = Matching(), Matching(n_worlds=256, seed=1), 0.0
    algo = build(play.spec, seed=0)
    algo.begin(play.now)
    for step in range(steps):
        algo.progress = step / steps
        algo.observe(play.step(algo.act(play.now)))
        algo.update()
        if step % 20 == 19:
            share = float(asked.right(algo.act(asked.now, greedy=True)).mean())
            if share >= least:
                return
    raise AssertionError(f"after {steps} steps {share:.0%} of its actions are right, not {least:.0%}")


def _begun(build: Build, spec: Spec, *, seed: int, noise: int | None = None) -> tuple[Algorithm, Stream]:
    stream = Stream(spec, noise_for_the_dead=noise)
    algo = build(spec, seed=seed)
    algo.begin(stream.now)
    return algo, stream


def _trained(build: Build, spec: Spec, *, seed: int) -> tuple[Algorithm, list[Any]]:
    algo, stream = _begun(build, spec, seed=seed)
    return algo, _until_learned(algo, stream)


def _until_learned(algo: Algorithm, stream: Stream) -> list[Any]:
    """Plays until it has learned twice, and at least `LEAST_STEPS`; returns what `drive` returns."""
    out: list[Any] = []
    while len(out) < 2 * LEAST_STEPS or sum(bool(update) for update in out[1::2]) < 2:
        assert len(out) < 2 * MOST_STEPS, f"it has not learned twice in {MOST_STEPS} steps of {stream.b} worlds"
        out += drive(algo, stream, 1)
    return out


def _everything(algo: Algorithm) -> list[Any]:
    return [algo.state_dict(), None if algo.replay is None else algo.replay.state_dict()]


def _through_a_file(content: Any) -> Any:
    """Returns content as it comes back from a file that only tensors and plain data may be read from."""
    file = io.BytesIO()
    try:
        torch.save(pack(content), file)
    except TypeError as error:
        raise AssertionError(f"its state cannot be saved: {error}") from error
    file.seek(0)
    return unpack(torch.load(file, weights_only=True))
