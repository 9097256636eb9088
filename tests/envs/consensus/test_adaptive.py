"""Nodes speak when they have moved, the more often the more values change, and still keep the mean and agree."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import path, random_connected

from envs.consensus import averaged, back_of, differing, first_speaking, heard_of, lists_of, speaks


def spoken_at(course: np.ndarray, **options: float) -> list[int]:
    """Rounds, from 1, in which a single node with these values speaks."""
    state, found = first_speaking(course[:1].reshape(1, 1, 1)), []
    for t in range(1, len(course)):
        now, state = speaks(state, course[t].reshape(1, 1, 1), tolerance=1.0, **options)  # type: ignore[arg-type]
        if now[0, 0]:
            found.append(t)
    return found


def test_a_node_that_does_not_move_speaks_after_the_longest_interval_only() -> None:
    assert spoken_at(np.zeros(65), longest=20) == [20, 40, 60]


def test_the_interval_follows_how_fast_values_move() -> None:
    """Moving steadily by c, a node speaks about every tolerance / c rounds."""
    for c, rounds in ((0.05, 20), (0.1, 10), (0.25, 4)):
        intervals = np.diff(spoken_at(c * np.arange(400)))
        assert abs(intervals[5:].mean() - rounds) <= 1
    assert np.diff(spoken_at(3.0 * np.arange(40))).tolist() == [1] * 38


def test_a_jump_is_said_at_once_but_not_before_the_least_interval() -> None:
    course = np.zeros(30)
    course[12:] = 5.0
    course[14:] = 9.0
    assert spoken_at(course)[:2] == [12, 14]
    assert spoken_at(course, least=6)[:2] == [12, 18]


def test_the_moving_average_by_hand() -> None:
    state = first_speaking(np.zeros((1, 1, 2)))
    _, state = speaks(state, np.array([[[0.2, -0.4]]]), tolerance=1.0)
    np.testing.assert_allclose(state.change, 0.04)
    now, state = speaks(state, np.array([[[1.2, -0.4]]]), tolerance=1.0)
    np.testing.assert_allclose(state.change, 0.9 * 0.04 + 0.1)
    assert now.all()
    np.testing.assert_array_equal(state.said, [[[1.2, -0.4]]])
    assert state.since[0, 0] == 0


def test_noise_about_a_constant_is_not_said() -> None:
    course = 0.1 * np.random.default_rng(0).normal(size=200)
    assert len(spoken_at(course, longest=1000)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_is_kept_and_reached_with_fewer_messages(seed: int) -> None:
    rng = np.random.default_rng(seed)
    neighbor = lists_of(random_connected(rng, 30, 0.15)[None])
    value = rng.normal(size=(1, 30, 1))
    now, state, messages = value, first_speaking(value), 0
    for _ in range(150):
        now = averaged(neighbor, neighbor >= 0, heard_of(neighbor, state.said), state.said, now)
        speaking, state = speaks(state, now, tolerance=0.01)
        messages += int(speaking.sum())
    np.testing.assert_allclose(now.mean(), value.mean(), atol=1e-12)
    assert now.std() < 0.02 * value.std()
    assert messages < 0.5 * 150 * 30


def test_a_network_that_has_agreed_falls_silent() -> None:
    """Without links that rest, nodes speak every few rounds for ever; with them, only after the longest interval."""
    rng = np.random.default_rng(6)
    neighbor = lists_of(random_connected(rng, 30, 0.15)[None])
    back, value = back_of(neighbor), rng.normal(size=(1, 30, 1))
    late = {}
    for rests in (False, True):
        now, state, spoken = value, first_speaking(value), []
        for _ in range(1000):
            heard = heard_of(neighbor, state.said)
            active = differing(neighbor, back, heard, 0.01) if rests else neighbor >= 0
            now = averaged(neighbor, active, heard, state.said, now)
            speaking, state = speaks(state, now, tolerance=0.01, longest=10_000)
            spoken.append(int(speaking.sum()))
        np.testing.assert_allclose(now.mean(), value.mean(), atol=1e-12)
        for i in range(30) if rests else ():
            apart = np.abs(now[0, i] - now[0, neighbor[0, i][neighbor[0, i] >= 0]])
            assert apart.max() <= 0.03
        late[rests] = sum(spoken[300:])
    assert late[False] > 700
    assert late[True] == 0


def test_links_rest_where_both_ends_said_about_the_same() -> None:
    neighbor = lists_of(path(3)[None])
    back = back_of(neighbor)
    said = np.array([[[0.0, 5.0], [0.4, 5.0], [0.4, 6.0]]])
    found = differing(neighbor, back, heard_of(neighbor, said), 0.5)
    np.testing.assert_array_equal(found[0], [[False, False], [False, True], [True, False]])


def test_impossible_settings_are_refused() -> None:
    state, value = first_speaking(np.zeros((1, 2, 1))), np.zeros((1, 2, 1))
    with pytest.raises(ValueError, match="tolerance: 0 is not above 0"):
        speaks(state, value, tolerance=0)
    with pytest.raises(ValueError, match="least, longest: 5 and 4"):
        speaks(state, value, tolerance=1, least=5, longest=4)
