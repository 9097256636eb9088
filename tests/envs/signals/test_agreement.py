"""Agreement of signals on the demand at all crossings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import envs
from envs.conformance.play import random_actions
from envs.signals import Config, Signals
from envs.signals.config import peers
from envs.signals.observe import N_OBS


def make(task: str = "grid-4x4", **kw: Any) -> Signals:
    return envs.make("signals", task, **kw)  # pyright: ignore[reportReturnType]


def play(env: Any, steps: int, seeds: Any = (0, 1, 2)) -> Any:
    """Yields (state, action, next state, next step) under random actions."""
    rng = np.random.default_rng(0)
    state, step = env.reset(seeds)
    for _ in range(steps):
        action = random_actions(env, step, rng)
        following, step = env.step(state, action)
        yield state, action, following, step
        state = following


def own_of(step: Any) -> Any:
    """Returns queues by axis and vehicles that came, (B, N, 3), from what signals observe."""
    queue = 25.0 * step.obs[..., :12].astype(float)
    by_axis = queue.reshape(*queue.shape[:2], 2, 2, 3).sum(axis=(2, 4))  # (B, N, 12) -> (B, N, 2, axis, 3)
    return np.concatenate([by_axis, 25.0 * step.obs[..., 35:36]], axis=2)


def dark_in(state: Any) -> Any:
    now = 5.0 * state.step[:, None]
    return (state.dark[..., 0] <= now) & (now < state.dark[..., 1])


def test_a_step_is_what_the_formulas_say() -> None:
    """Gossip by dense matrices within two crossings, with liars."""
    env = make(consensus="gossip", consensus_pull=0.1, n_liars=3)
    hears = (env.network.distance > 0) & (env.network.distance <= 2)
    degree = hears.sum(axis=1)
    weight = np.where(hears, 1.0 / (1.0 + np.maximum(degree[:, None], degree)), 0.0)
    for before, _, after, step in play(env, 40):
        m = own_of(step)
        assert after.measured == pytest.approx(m, abs=1e-5)
        x = before.agreed + (after.measured - before.measured)
        x += 0.1 * (after.measured - x)
        said = np.where(after.liar[..., None], 0.0, x)
        expected = x + np.einsum("ij,bjv->biv", weight, said) - weight.sum(axis=1)[:, None] * x
        np.testing.assert_allclose(after.agreed, expected, atol=1e-9)
        np.testing.assert_allclose(step.obs[..., N_OBS:-1], np.clip(after.agreed / 25.0, 0.0, 1.0), atol=1e-6)
        assert (after.liar.sum(axis=1) == 3).all()


def test_the_mean_is_kept_although_signals_go_dark() -> None:
    env = make(consensus="gossip", consensus_pull=0.0, consensus_loss=0.3, n_blackouts=4, blackout_seconds=300.0)
    seen = 0
    for before, _, after, step in play(env, 200):
        assert after.agreed.sum(axis=1) == pytest.approx(after.measured.sum(axis=1), abs=1e-9)
        dark = dark_in(after)
        assert (after.agreed[dark] == before.agreed[dark]).all()
        age = 5.0 * after.silence
        assert (after.silence[dark] == before.silence[dark] + 1).all()
        assert step.obs[..., -1] == pytest.approx(age / (age + 20.0), abs=1e-6)
        seen += int(dark.sum())
    assert seen > 200


def test_trimmed_means_stay_within_what_honest_signals_measured() -> None:
    """Every signal hears at least 9 others, and no more than two lie."""
    outside = {}
    for rule in ("gossip", "robust"):
        env = make(consensus=rule, consensus_hops=3, consensus_tolerance=2, n_liars=2, flow=700.0)
        most, least, worst, bias = 0.0, np.inf, 0.0, 0.0
        for before, _, after, step in play(env, 120, [3]):
            honest = ~after.liar[0]
            both = np.stack([before.measured[0, honest], after.measured[0, honest]])
            least, most = np.minimum(least, both.min(axis=(0, 1))), np.maximum(most, both.max(axis=(0, 1)))
            found = after.agreed[0, honest]
            worst = max(worst, float((least - found).max()), float((found - most).max()))
            bias = float(step.metrics["consensus_bias"][0])
        outside[rule] = (worst, bias)
    assert outside["robust"][0] <= 1e-12
    assert outside["robust"][1] < outside["gossip"][1]


def test_traffic_does_not_depend_on_what_signals_say() -> None:
    env, plain = make(consensus="gossip", counterfactual="hold", n_liars=2), make(counterfactual="hold")
    other, _ = plain.reset([0, 1, 2])
    for _, action, _, step in play(env, 20):
        other, shown = plain.step(other, action)
        assert step.obs[..., :N_OBS].tobytes() == shown.obs.tobytes()
        for field in ("state", "reward", "cost", "counterfactual", "action_mask"):
            assert getattr(step, field).tobytes() == getattr(shown, field).tobytes()
    assert env.obs_names[:N_OBS] == plain.obs_names


def test_metrics_are_those_of_signals_that_neither_lie_nor_are_dark() -> None:
    env = make(consensus="robust", n_blackouts=3, n_liars=1)
    state, step = env.reset([0, 1, 2])
    apart, off = [step.metrics["consensus_disagreement"]], [step.metrics["consensus_bias"]]
    shown = step.metrics
    for _, _, after, step in play(env, 60):
        shown = step.metrics
        rows = ~dark_in(after) & ~after.liar
        of_worlds = [(after.agreed[b, rows[b]], after.measured[b, rows[b]]) for b in range(3)]
        apart.append(np.array([np.sqrt(x.var(axis=0).mean()) for x, _ in of_worlds]))
        off.append(np.array([np.sqrt(((x - m).mean(axis=0) ** 2).mean()) for x, m in of_worlds]))
    for name, found in (("consensus_disagreement", apart), ("consensus_bias", off)):
        assert shown[name] == pytest.approx(np.mean(found, axis=0))
    assert state.step[0] == 0
    env = make("grid-2x2", consensus="gossip", consensus_hops=1, consensus_loss=0.9)
    *_, last = play(env, 10)
    assert (last[3].metrics["consensus_messages"] == 11 * 8).all()


def test_a_signal_alone_has_nobody_to_agree_with() -> None:
    env = make("single", consensus="gossip")
    *_, last = play(env, 10)
    assert last[2].agreed == pytest.approx(last[2].measured)
    assert (last[2].silence == 11).all()


def test_what_cannot_hold_is_refused_in_one_line() -> None:
    assert sorted(set(peers(Config(rows=4, columns=4, consensus_hops=2)))) == [5, 7, 10]
    message = r"consensus_tolerance=2 liars take 7 signals heard \(3 f \+ 1\), where one in a corner hears 5: "
    with pytest.raises(ValueError, match=message + "tolerate at most 1, or raise rows, columns or consensus_hops"):
        make(consensus="robust", consensus_tolerance=2)
    with pytest.raises(ValueError, match="n_liars=17 is more than the 16 signals: lower it"):
        make(n_liars=17)
    with pytest.raises(ValueError, match="consensus='hierarchical' is not known: give one of none, gossip, robust"):
        make(consensus="hierarchical")
