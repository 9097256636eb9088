"""Images that were bytes stay bytes where experience waits, and learning cannot tell the difference."""

from __future__ import annotations

from typing import Any

import foreign_toys
import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete

from algos import ALGOS
from algos.core import Obs, Spec, Transition, spec_of
from algos.maths.arrays import as_bytes, as_numbers
from algos.training import plain_spec
from envs import adapters

SHAPE = (2, 16, 16)


def spec(pixels: bool) -> Spec:
    return Spec(2, 2 * 16 * 16, 0, Discrete(3), ((0, 1),), SHAPE, pixels)


def seen(rng: np.random.Generator, worlds: int) -> Obs:
    images = rng.integers(0, 256, (worlds, 2, 512)).astype(np.float32) / np.float32(255)
    alive = np.ones((worlds, 2), bool)
    return Obs(images, np.zeros((worlds, 0), np.float32), ~np.eye(2, dtype=bool)[None], alive, None, ~alive[:, 0])


def learned(algo: str, pixels: bool) -> tuple[Any, dict[str, float]]:
    options: dict[str, Any] = {"hidden": (8,)}
    options |= {"rollout_steps": 4} if algo in ("mappo", "ippo") else {"batch": 16, "warm_up": 8, "replay_size": 64}
    entry = ALGOS[algo]
    made = entry.algorithm(spec(pixels), entry.config(**options), seed=3)
    rng = np.random.default_rng(0)
    obs = seen(rng, 4)
    made.begin(obs)
    scalars: dict[str, float] = {}
    for step in range(9):
        action = made.act(obs)
        after = seen(rng, 4)
        ended = np.array([step == 5, False, False, step == 2])
        reward = rng.normal(size=(4, 2)).astype(np.float32)
        dead = np.zeros((4, 2), bool)
        made.observe(Transition(obs, action, reward, reward.sum(1), None, reward, dead, ended, after, ended))
        scalars |= made.update()
        obs = after._replace(started=ended)
    return made, scalars


@pytest.mark.parametrize("algo", list(ALGOS))
def test_learning_from_bytes_is_learning_from_the_same_numbers(algo: str) -> None:
    (bytes_, one), (floats, other) = learned(algo, True), learned(algo, False)
    assert one == other
    assert one
    for first, second in zip(bytes_.policy.parameters(), floats.policy.parameters(), strict=True):
        assert torch.equal(first, second)
    stores = [made.rollout or made.replay if hasattr(made, "rollout") else made.replay for made in (bytes_, floats)]
    assert stores[0].fields["obs"].dtype == torch.uint8
    assert stores[0].fields["obs"].nbytes * 4 == stores[1].fields["obs"].nbytes
    config = bytes_.config
    parts = ALGOS[algo].footprint(spec(True), config, n_worlds=4, action_mask=False, device="cpu")
    assert parts[0].bytes == sum(field.nbytes for field in stores[0].fields.values())


def test_every_byte_survives() -> None:
    numbers = np.arange(256, dtype=np.float32) / np.float32(255)
    kept = as_bytes(numbers)
    assert kept.tolist() == list(range(256))
    assert np.array_equal(as_numbers(torch.from_numpy(kept)).numpy(), numbers)


@pytest.mark.parametrize("wrong", [0.5, -1 / 255, 256 / 255, float("nan")])
def test_other_numbers_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="holds other numbers than multiples of 1/255"):
        as_bytes(np.array([0.0, wrong], np.float32))


def test_the_adapter_says_when_pictures_are_bytes() -> None:
    env = adapters.vector(foreign_toys.Painted, 2, n_workers=0)
    step = env.reset(0)
    for _ in range(3):
        _, step = env.step(np.zeros(step.reward.shape, np.int64))
    of = spec_of(env)
    assert of.pixels
    as_bytes(step.obs)
    assert plain_spec.spec_from_plain(plain_spec.spec_to_plain(of)) == of
    plain = plain_spec.spec_to_plain(of)
    del plain["pixels"]
    assert not plain_spec.spec_from_plain(plain).pixels, "older folders kept floats"
