"""Observations normalised by running statistics: their maths, where they travel, and that learning profits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from streams import SPECS, Stream, drive, same
from toys import Array, Match, train

from algos import load_policy
from algos.core import Player, spec_of
from algos.maddpg import Maddpg, MaddpgConfig
from algos.mappo import Mappo, MappoConfig
from algos.nets.obs_norm import CLIP, RunningNorm
from algos.training.presets import settled_obs_norm
from algos.training.runfolder import read_config
from train import main

MAPPO = {"rollout_steps": 16, "lr": 3e-3, "minibatches": 2, "hidden": (32,)}
MADDPG = {"warm_up": 256, "batch": 128, "replay_size": 8192, "hidden": (32,), "gamma": 0.9}


def made(name: str, spec: Any, seed: int = 0, **options: Any) -> Mappo | Maddpg:
    if name == "mappo":
        return Mappo(spec, MappoConfig(**{**MAPPO, **options}), seed=seed)
    return Maddpg(spec, MaddpgConfig(**{**MADDPG, **options}), seed=seed)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_statistics_are_those_of_all_that_counts_whatever_the_parts():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal([1e4, -3.0], [2.0, 0.1], (50, 3, 2)))  # (rows, N, D)
    weight = torch.from_numpy(rng.random((50, 3)) < 0.7)
    x[~weight] = 1e9  # what does not count may be anything
    sets = (0, 1, 0)
    norm = RunningNorm(2, sets)
    for part in (slice(0, 1), slice(1, 20), slice(20, 50)):
        norm.update(x[part], weight[part])
    for index, members in enumerate(([0, 2], [1])):
        values = x[:, members][weight[:, members]].numpy()  # (M, D)
        np.testing.assert_allclose(norm.mean[index], values.mean(0), rtol=1e-12)
        np.testing.assert_allclose(norm.square[index] / norm.count[index], values.var(0), rtol=1e-9)
    y = norm(x)
    expected = (x[:, 1] - norm.mean[1]) / (norm.square[1] / norm.count[1] + 1e-6).sqrt()
    np.testing.assert_allclose(y[:, 1], expected.clamp(-CLIP, CLIP), rtol=1e-6)


def test_before_any_statistics_nothing_changes_and_after_them_nothing_explodes():
    norm = RunningNorm(2, (0,))
    x = torch.tensor([[[3.0, 7.0]]])
    assert torch.equal(norm(x), x)
    norm.update(x.expand(4, 1, 2), torch.ones(4, 1))  # a feature that never varied
    assert torch.equal(norm(x), torch.zeros(1, 1, 2))
    assert norm(x + 1e6).tolist() == [[[CLIP, CLIP]]]


class Large(Match):
    """`Match`, but what is seen is large and far from zero: 1000 + 300 one-hot, and a feature that never varies."""

    obs_dim = 5

    def observe(self) -> Array:
        seen = 1000 + 300 * np.eye(4)[self.target()]
        return np.concatenate([seen, np.full((*seen.shape[:2], 1), -5e4)], -1)


@pytest.mark.parametrize(("name", "updates"), [("mappo", 30), pytest.param("maddpg", 300, marks=pytest.mark.slow)])
def test_it_learns_from_large_numbers_only_when_they_are_normalised(name, updates):
    def last(obs_norm: str) -> float:
        env = Large()
        history = train(env, made(name, spec_of(env), obs_norm=obs_norm), updates)
        return float(np.nanmean([step["return"] for step in history[-5:]]))

    assert last("on") > 0.9
    assert last("off") < 0.6


@pytest.mark.parametrize("name", ["mappo", "maddpg"])
@pytest.mark.parametrize("share", ["all", "group", "none"])
def test_a_policy_carries_its_statistics(name, share):
    options = {"rollout_steps": 4} if name == "mappo" else {"warm_up": 20}
    algo = made(name, SPECS[0], obs_norm="on", share=share, **options)
    drive(algo, Stream(SPECS[0]), 12)
    other = made(name, SPECS[0], seed=1, obs_norm="on", share=share)
    other.policy.load_state_dict(algo.policy.state_dict())
    assert other.policy.obs_norm is not None
    assert other.policy.obs_norm.begun
    seen = Stream(SPECS[0], seed=3).now
    assert same(Player(algo.policy)(seen), Player(other.policy)(seen))


@pytest.mark.parametrize("name", ["mappo", "maddpg"])
@pytest.mark.parametrize("spec", SPECS[:2], ids=["discrete", "box"])
def test_resume_goes_on_bit_for_bit_and_the_dead_leave_no_trace(name, spec):
    options: dict[str, Any] = {"obs_norm": "on"} | ({"rollout_steps": 4} if name == "mappo" else {"warm_up": 20})
    if name == "maddpg" and spec.state_dim:
        options["critic"] = "state"
    one, other = made(name, spec, **options), made(name, spec, **options)
    drive(one, Stream(spec, noise_for_the_dead=1), 10)
    drive(other, Stream(spec, noise_for_the_dead=2), 10)
    assert same(one.state_dict(), other.state_dict())
    resumed = made(name, spec, seed=9, **options)
    resumed.load_state_dict(one.state_dict())
    if one.replay is not None:
        resumed.begin(Stream(spec).now)
        assert resumed.replay is not None
        resumed.replay.load_state_dict(one.replay.state_dict())
    assert same(drive(one, Stream(spec, seed=5), 10), drive(resumed, Stream(spec, seed=5), 10))


@pytest.mark.parametrize("gru", [0, 8])
def test_ratios_start_at_one_in_every_update(gru, monkeypatch):
    algo = made("mappo", SPECS[0], obs_norm="on", rollout_steps=4, epochs=1, minibatches=1, gru=gru)
    assert isinstance(algo, Mappo)
    stream = Stream(SPECS[0])
    for _ in range(3):
        history = [scalars for scalars in drive(algo, stream, 4)[1::2] if scalars]
        assert history[0]["approx_kl"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("asked", "foreign", "bound", "shape", "settled"),
    [
        ("auto", True, 255.0, (4,), "on"),
        ("auto", True, np.inf, (4,), "on"),
        ("auto", True, 1.0, (4,), "off"),
        ("auto", True, np.inf, (3, 64, 64), "off"),  # an image
        ("auto", False, np.inf, (4,), "off"),  # ours are of about one whatever their bounds
        ("on", False, 1.0, (4,), "on"),
        ("off", True, np.inf, (4,), "off"),
    ],
)
def test_auto_normalises_what_others_leave_large(asked, foreign, bound, shape, settled):
    found, notes = settled_obs_norm(asked, foreign=foreign, space=Box(-bound, bound, shape, np.float32))
    assert found == settled
    assert bool(notes) == (asked == "auto" and settled == "on")


def test_images_are_never_normalised():
    assert made("mappo", SPECS[2], obs_norm="on").policy.obs_norm is None


def test_a_run_keeps_what_was_settled_and_a_loaded_policy_acts_by_it(tmp_path: Path):
    words = ["--env", "spread", "--algo", "mappo", "--algo.obs-norm", "on", "--total-steps", "4000", "--quiet"]
    words += ["--n-worlds", "16", "--eval-episodes", "0", "--log-dir", str(tmp_path), "--run-name", "x"]
    assert main([*words, "--video-every", "0"]) == 0
    assert read_config(tmp_path / "x").algo.options["obs_norm"] == "on"
    norm = load_policy(tmp_path / "x")._acting.obs_norm  # pyright: ignore[reportAttributeAccessIssue]
    assert norm is not None
    assert float(norm.count.max()) >= 3200 * 3
