"""Who takes whose parameters: rules on toys with known answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from algos.peers.config import PeersConfig
from algos.peers.permission import Permission
from algos.peers.returns import Returns
from algos.peers.sharing import NOBODY, best_rated, truncation, upper_bounds

ALL = ~np.eye(3, dtype=bool)


def returns_of(*rows: tuple[float, ...]) -> Returns:
    found = Returns(len(rows[0]), window=4)
    found.add(np.array(rows))
    return found


def test_returns_are_means_with_their_errors() -> None:
    found = returns_of((1.0, 10.0), (3.0, 10.0))
    assert found.mean.tolist() == [2.0, 10.0]
    assert found.error.tolist() == [1.0, 0.0]
    found.add(np.array([[5.0, 0.0]] * 4))  # the window is full of them now
    assert found.mean.tolist() == [5.0, 0.0]
    assert found.episodes == 6
    found.forget(1)
    assert np.isnan(found.mean[1])
    assert found.error[1] == np.inf
    found.forget(1, running=2)  # two episodes are half played by what it was
    found.add(np.array([[5.0, 100.0], [5.0, 100.0], [5.0, 1.0]]))
    assert found.mean.tolist() == [5.0, 1.0]
    found.forget(1)
    again = Returns(2, window=4)
    again.load_state_dict(found.state_dict())
    assert again.mean[0] == 5.0
    assert again.episodes == 9
    with pytest.raises(ValueError, match="do not fit"):
        Returns(3, window=4).load_state_dict(found.state_dict())


def test_a_gain_compares_the_newest_episodes_with_those_before() -> None:
    found = Returns(2, window=6)
    found.add(np.array([[9.0, 0.0], [1.0, 0.0], [3.0, 0.0], [1.0, 0.0], [3.0, 0.0], [4.0, 5.0], [6.0, 5.0]]))
    gain, error = found.gain(2)
    assert gain.tolist() == [3.0, 5.0]
    assert error.tolist() == pytest.approx([(1.0 + 4 / 3 / 4) ** 0.5, 0.0])


def test_normalised_returns_do_not_depend_on_sign_and_units() -> None:
    assert returns_of((-300.0, -200.0, -100.0)).normalised.tolist() == [0.0, 0.5, 1.0]
    assert returns_of((1.0, 2.0, 3.0)).normalised.tolist() == [0.0, 0.5, 1.0]
    assert returns_of((7.0, 7.0)).normalised.tolist() == [0.0, 0.0]
    assert Returns(2).normalised.tolist() == [0.0, 0.0]


def test_bounds_are_those_of_ucb() -> None:
    bounds = upper_bounds(np.array([0.0, 1.0]), np.array([0, 3]), 100, 1.5)
    assert bounds.tolist() == pytest.approx([1.5 * np.log(100) ** 0.5, 1.0 + 0.75 * np.log(100) ** 0.5])


@pytest.mark.parametrize("shift", [0.0, -1000.0])
def test_the_best_is_taken_by_all_others(shift: float) -> None:
    """Also where all returns are negative, as in Pendulum."""
    normalised = returns_of((shift + 1.0, shift + 3.0, shift + 2.0)).normalised
    bounds = upper_bounds(normalised, np.zeros(3), 100, 1.5)
    sources, refused = best_rated(bounds, normalised, ALL, 1.0)
    assert sources.tolist() == [1, NOBODY, 1]
    assert refused.tolist() == [NOBODY] * 3


def test_one_that_has_been_taken_often_is_taken_less_but_nobody_takes_from_a_worse_one() -> None:
    normalised = np.array([0.9, 1.0, 0.0])
    sources, _ = best_rated(upper_bounds(normalised, np.array([0, 50, 0]), 100, 1.5), normalised, ALL, 1.0)
    assert sources.tolist() == [NOBODY, NOBODY, 0]
    unknown = np.array([0.9, np.nan, 0.0])
    assert best_rated(np.array([1.0, 5.0, 0.0]), unknown, ALL, 1.0)[0].tolist() == [NOBODY, NOBODY, 0]


def test_a_greater_lambda_asks_for_a_greater_lead() -> None:
    bounds = np.array([1.0, 1.5, 2.5])
    assert best_rated(bounds, bounds, ALL, 1.0)[0].tolist() == [2, 2, NOBODY]
    assert best_rated(bounds, bounds, ALL, 2.0)[0].tolist() == [2, NOBODY, NOBODY]


def test_what_is_forbidden_is_refused_and_the_next_best_is_taken() -> None:
    may = ALL.copy()
    may[0, 2] = False  # 0 may not take from 2, the best
    bounds = np.array([0.0, 0.5, 1.0])
    sources, refused = best_rated(bounds, bounds, may, 1.0)
    assert sources.tolist() == [1, 2, NOBODY]
    assert refused.tolist() == [2, NOBODY, NOBODY]
    sources, refused = best_rated(bounds, bounds, np.zeros((3, 3), bool), 1.0)
    assert sources.tolist() == [NOBODY] * 3
    assert refused.tolist() == [2, 2, NOBODY]


def test_the_worst_take_from_the_best_in_a_population() -> None:
    mean = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 9.0, 6.0, 7.0, 8.0, 0.0])
    sources, refused = truncation(mean, ~np.eye(10, dtype=bool), np.random.default_rng(0))
    assert (refused == NOBODY).all()
    sources_of_none, refused = truncation(mean, np.zeros((10, 10), bool), np.random.default_rng(0))
    assert (sources_of_none == NOBODY).all()
    assert np.flatnonzero(refused != NOBODY).tolist() == [1, 9]
    assert np.flatnonzero(sources != NOBODY).tolist() == [1, 9]
    assert set(sources[[1, 9]].tolist()) <= {5, 8}
    unknown, _ = truncation(np.array([np.nan, 1.0, 2.0]), ALL, np.random.default_rng(0))
    assert unknown.tolist() == [NOBODY, 2, NOBODY]
    equal, _ = truncation(np.ones(4), ~np.eye(4, dtype=bool), np.random.default_rng(0))
    assert equal.tolist() == [NOBODY] * 4
    assert truncation(np.ones(1), np.zeros((1, 1), bool), np.random.default_rng(0))[0].tolist() == [NOBODY]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"share_c": 2.0}, "share_c is 2.0, which has no effect without share 'ucb'"),
        ({"share": "pbt", "share_c": 2.0}, "share_c is 2.0, which has no effect without share 'ucb'"),
        (
            {"share": "independent", "share_tau": 0.5},
            "share_tau is 0.5, which has no effect without share 'ucb' or 'pbt'",
        ),
        ({"distill_teachers": 2}, "distill_teachers is 2, which has no effect without distill or teacher"),
        ({"distill": True, "share": "pbt", "distill_floor": 0.1}, "both set how much entropy counts"),
    ],
)
def test_options_without_effect_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PeersConfig(**options)


def test_permission_by_groups_and_by_hearing() -> None:
    hears = np.zeros((2, 3, 3), bool)
    hears[1, 0, 2] = True
    agents = ("a", "b", "c")
    assert Permission("all", agents, ((0, 1, 2),)).now(hears).tolist() == ALL.tolist()
    assert np.argwhere(Permission("groups", agents, ((0, 2), (1,))).now(hears)).tolist() == [[0, 2], [2, 0]]
    assert np.argwhere(Permission("adjacency", agents, ((0, 1, 2),)).now(hears)).tolist() == [[0, 2]]


def test_permission_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "may.json"
    path.write_text(json.dumps({"a": ["b", "c"], "c": ["c", "a"]}))
    found = Permission(str(path), ("a", "b", "c"), ((0, 1, 2),)).now(np.zeros((1, 3, 3), bool))
    assert np.argwhere(found).tolist() == [[0, 1], [0, 2], [2, 0]]  # nobody learns from itself
    for text, words in (
        ('{"a": ["d"]}', "it names d, but the agents are a, b, c"),
        ("[1]", 'must hold {"agent"'),
        ("{", "holds no JSON"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            Permission(str(path), ("a", "b", "c"), ((0, 1, 2),))
    with pytest.raises(ValueError, match=r"permission is 'freinds'; it must be all, groups, adjacency or a JSON file"):
        Permission("freinds", ("a", "b"), ((0, 1),))
