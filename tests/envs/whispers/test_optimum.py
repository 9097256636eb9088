"""The closed form of the optimum, against published figures and against a simulated channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import envs
from envs.whispers.optimum import in_step, lasting, over_episode


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"bits": 0}, 0.25),
        ({}, 1.0),
        ({"persistence": 0.9, "loss": 0.2}, 0.982),
        ({"persistence": 0.9, "loss": 0.5}, 0.932),
        ({"persistence": 0.9, "delay": 2}, 0.8575),
        ({"persistence": 0.9, "delay": 5}, 0.693),
        ({"persistence": 0.9, "loss": 0.5, "delay": 5}, 0.6526),
        ({"bits": 1}, 0.5),
        ({"bits": 2}, 1.0),
        ({"bits": 16}, 1.0),
        ({"loss": 1.0, "persistence": 1.0}, 0.25),
        ({"persistence": 1.0, "loss": 0.9, "delay": 7}, 1.0),
        ({"delay": 1}, 0.25),
        ({"loss": 0.2, "bits": 1}, 0.45),
    ],
    ids=str,
)
def test_figures_of_four_symbols(given: dict[str, Any], expected: float) -> None:
    assert lasting(4, **given) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"persistence": 0.9, "loss": 0.5},
        {"persistence": 0.9, "delay": 3},
        {"persistence": 0.7, "loss": 0.3, "delay": 2},
        {"persistence": 1.0, "loss": 0.8},
        {"persistence": 1.0, "loss": 1.0},
        {"loss": 0.5, "bits": 1},
        {"persistence": 0.9, "delay": 60},
    ],
    ids=str,
)
def test_an_episode_is_the_mean_of_its_steps_and_ends_up_in_the_long_run(given: dict[str, Any]) -> None:
    for steps in (1, 2, 50):
        each = [in_step(t, 5, **given) for t in range(steps)]
        assert over_episode(steps, 5, **given) == pytest.approx(np.mean(each))
        assert all(0.2 - 1e-12 <= share <= 1.0 + 1e-12 for share in each)
    assert in_step(10_000, 5, **given) == pytest.approx(lasting(5, **given))


@pytest.mark.parametrize(
    ("persistence", "loss", "delay"), [(0.9, 0.0, 0), (0.9, 0.5, 0), (0.9, 0.0, 5), (0.9, 0.5, 2), (0.5, 0.8, 1)]
)
def test_a_simulated_channel_reaches_it(persistence: float, loss: float, delay: int) -> None:
    """Every agent names the newest symbol of its source that it has heard over links that lose and delay messages."""
    worlds, n, v, steps = 1500, 4, 4, 50
    env = envs.make("whispers", persistence=persistence)
    rng, (state, step) = np.random.default_rng(1), env.reset(range(worlds))
    heard = np.full((worlds, n, n), -1)  # [b, i, j]: the newest symbol of j that i has heard
    under_way: list[tuple[Any, Any]] = []
    share = []
    for t in range(steps):
        said = step.obs[:, :, n : n + v].argmax(axis=2)  # (B, N) an agent tells what it sees
        under_way.append((said, rng.random((worlds, n, n)) >= loss))
        if t >= delay:
            words, delivered = under_way[t - delay]
            heard = np.where(delivered, words[:, None, :], heard)
        source = step.obs[:, :, n + v :].argmax(axis=2)
        known = np.take_along_axis(heard, source[:, :, None], axis=2)[:, :, 0]
        state, step = env.step(state, np.where(known < 0, 0, known))
        share.append(step.reward.mean())
    given: Any = {"persistence": persistence, "loss": loss, "delay": delay}
    assert np.mean(share) == pytest.approx(over_episode(steps, v, **given), abs=0.006)
    assert np.mean(share[25:]) == pytest.approx(lasting(v, **given), abs=0.008)
    assert share[0] == pytest.approx(in_step(0, v, **given), abs=0.03)
    assert share[delay + 1] == pytest.approx(in_step(delay + 1, v, **given), abs=0.03)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss": 1.5}, "loss=1.5 is out of range: give a value from 0 to 1"),
        ({"bits": 1, "persistence": 0.5}, "bits=1 cannot tell 4 symbols apart, .* give persistence=0 or at least 2"),
        ({"delay": -1}, "delay=-1"),
    ],
)
def test_what_has_no_formula_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lasting(4, **given)
