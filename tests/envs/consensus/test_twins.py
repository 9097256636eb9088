"""The rules in numpy and in torch are one mathematics: equal inputs give equal outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from graphs import random_connected

import algos.consensus
import envs.consensus as sparse
from algos.comm import chance as dense_chance
from envs.consensus import chance as sparse_chance

B, N, V = 3, 14, 2
dense: Any = algos.consensus  # any number of tensors is unpacked into its arguments, which type checkers cannot count
CLOSE: Any = {"rtol": 1e-9, "atol": 1e-9}


class Scene:
    """Random worlds: links, masks and values, as the sparse rules and as the dense ones take them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.adjacency = np.stack([random_connected(self.rng, N, 0.25) for _ in range(B)])
        self.neighbor = sparse.lists_of(self.adjacency)
        self.back = sparse.back_of(self.neighbor)
        self.value = self.rng.normal(size=(B, N, V))

    def links(self, share: float, *, both_ways: bool = True) -> np.ndarray:
        """A random mask of links, (B, N, N)."""
        mask = self.rng.random((B, N, N)) < share
        return self.adjacency & (mask & mask.transpose(0, 2, 1) if both_ways else mask)

    def slots(self, matrix: np.ndarray) -> np.ndarray:
        return sparse.slots_of(self.neighbor, matrix)

    def same(self, by_slot: np.ndarray, matrix: Any) -> None:
        """Checks that what stands at slots is what the matrix holds there."""
        np.testing.assert_allclose(sparse.dense_of(self.neighbor, by_slot), np.asarray(matrix), **CLOSE)


def tensors(*arrays: np.ndarray) -> Any:
    """Lists the arrays as tensors."""
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def agree_on(found: np.ndarray, expected: torch.Tensor) -> None:
    np.testing.assert_allclose(found, expected.numpy(), **CLOSE)


@pytest.fixture(params=range(4))
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param)


def test_both_hold_the_same_rules() -> None:
    """Lists and trees are numpy's alone; an exchange through the agents' own medium is torch's alone."""
    lists = {"back_of", "dense_of", "heard_of", "lists_of", "slots_of"}
    medium = {"Exchange", "both_ways", "drawn", "newer"}
    assert set(sparse.__all__) - lists - {"Tree", "grow", "swept"} == set(dense.__all__) - medium


def test_weights(scene: Scene) -> None:
    active = scene.links(0.7)
    weight = sparse.metropolis(scene.neighbor, scene.slots(active))
    expected = dense.metropolis(*tensors(active))
    scene.same(weight, expected)
    agree_on(sparse.contraction(scene.neighbor, weight), dense.contraction(expected))


def test_partners(scene: Scene) -> None:
    available, numbers = scene.links(0.7), scene.rng.random((B, N, N))
    scene.same(
        sparse.calls(scene.neighbor, scene.back, scene.slots(available), scene.slots(numbers), 2),
        dense.calls(*tensors(available, numbers), 2),
    )
    both = np.triu(numbers, 1) + np.triu(numbers, 1).transpose(0, 2, 1)
    scene.same(
        sparse.pairs(scene.neighbor, scene.slots(available), scene.slots(both)), dense.pairs(*tensors(available, both))
    )


def test_gossip(scene: Scene) -> None:
    active, heard = scene.links(0.7), scene.rng.normal(size=(B, N, N, V))
    own_said = scene.rng.normal(size=(B, N, V))
    agree_on(
        sparse.averaged(scene.neighbor, scene.slots(active), scene.slots(heard), own_said, scene.value),
        dense.averaged(*tensors(heard, own_said, scene.value), dense.metropolis(*tensors(active))),
    )
    agree_on(
        sparse.agree(scene.neighbor, scene.slots(active), scene.value, 7),
        dense.agree(*tensors(scene.value, active), 7),
    )


def test_push_sum(scene: Scene) -> None:
    hears = scene.links(0.8, both_ways=False)
    found = sparse.first_push_sum(scene.neighbor, scene.value)
    expected = dense.first_push_sum(*tensors(scene.value))
    for _ in range(6):
        found = sparse.pushed(scene.neighbor, scene.slots(hears), found)
        expected = dense.pushed(*tensors(hears), expected)
        arrived = hears & scene.links(0.6, both_ways=False)
        heard = np.broadcast_to(found.given[:, None], (B, N, N, V + 1))
        found = sparse.received(scene.slots(arrived), scene.slots(heard), found)
        expected = dense.received(*tensors(arrived, heard), expected)
        agree_on(found.held, expected.held)
        agree_on(found.given, expected.given)
        scene.same(found.taken, expected.taken)
    agree_on(sparse.estimate(found), dense.estimate(expected))


def test_hierarchy(scene: Scene) -> None:
    active, alive = scene.links(0.8), scene.rng.random((B, N)) < 0.9
    clusters = sparse.elect(scene.neighbor, scene.slots(active), alive)
    expected = dense.elect(*tensors(active, alive))
    agree_on(clusters.leader, expected.leader)
    scene.same(clusters.bridge, expected.bridge)
    joins, lies = scene.rng.random((B, N)) < 0.8, scene.rng.random((B, N, 1)) < 0.2
    said = np.where(lies, scene.rng.normal(size=(B, N, V)), np.nan)
    works = np.stack([scene.links(0.7) for _ in range(3)])
    for options in ({}, {"joins": joins}, {"said": said}, {"works": works}, {"said": said, "works": works}):
        slots = {name: np.stack([scene.slots(w) for w in x]) if name == "works" else x for name, x in options.items()}
        one = sparse.hierarchical(scene.neighbor, clusters, scene.value, 3, **slots)
        two = dense.hierarchical(
            expected, *tensors(scene.value), 3, **dict(zip(options, tensors(*options.values()), strict=True))
        )
        for found, wanted in zip(one, two, strict=True):
            agree_on(found, wanted)


@pytest.mark.parametrize("tolerance", range(4))
def test_robust(scene: Scene, tolerance: int) -> None:
    active, heard = scene.links(0.8, both_ways=False), scene.rng.normal(size=(B, N, N, V)).round(1)
    heard[scene.rng.random(heard.shape) < 0.05] = np.nan
    agree_on(
        sparse.trimmed(scene.slots(active), scene.slots(heard), scene.value.round(1), tolerance),
        dense.trimmed(*tensors(active, heard, scene.value.round(1)), tolerance),
    )
    assert sparse.most_liars(tolerance) == dense.most_liars(tolerance)


def test_adaptive(scene: Scene) -> None:
    found, expected = sparse.first_speaking(scene.value), dense.first_speaking(*tensors(scene.value))
    value, times = scene.value, 0
    for t in range(40):
        value = value + scene.rng.normal(scale=0.1 if t % 10 else 0.5, size=value.shape)
        now, found = sparse.speaks(found, value, tolerance=0.4, least=2, longest=9)
        wanted, expected = dense.speaks(expected, *tensors(value), tolerance=0.4, least=2, longest=9)
        np.testing.assert_array_equal(now, wanted.numpy())
        times += int(now.sum())
    assert 0 < times < 40 * B * N
    for one, two in zip(found, expected, strict=True):
        agree_on(one, two)


def test_links_that_rest(scene: Scene) -> None:
    heard = scene.rng.normal(size=(B, N, N, V)) * scene.adjacency[..., None]
    scene.same(
        sparse.differing(scene.neighbor, scene.back, scene.slots(heard), 1.5),
        dense.differing(*tensors(heard), 1.5),
    )
    said = sparse.heard_of(scene.neighbor, scene.value)
    both = dense.differing(*tensors(scene.value), 1.5) & torch.from_numpy(scene.adjacency)
    scene.same(sparse.differing(scene.neighbor, scene.back, said, 1.5), both)


@pytest.mark.parametrize("kind", sparse.LIES)
def test_liars(scene: Scene, kind: str) -> None:
    heard, numbers = scene.rng.normal(size=(B, N, N, V)), scene.rng.random((B, N, N))
    heard = heard * scene.adjacency[..., None]
    liar = scene.rng.random((B, N)) < 0.3
    found = sparse.overheard(kind, scene.slots(heard), scene.neighbor, liar, 3.0, 2, scene.slots(numbers))
    expected = dense.overheard(kind, *tensors(heard, liar), 3.0, 2, *tensors(numbers))
    scene.same(found, expected * torch.from_numpy(scene.adjacency).unsqueeze(-1))


def test_numbers() -> None:
    """The draws of channels in torch and of kernels in numba are the same for key, counter, stream and link."""
    link = np.arange(50)
    for key, counter, stream in ((0, 0, 1), (12345, 7, 2), (2**63 - 1, 2**40, 3)):
        expected = dense_chance.uniform(torch.tensor(key), torch.tensor(counter), stream, *tensors(link))
        np.testing.assert_array_equal(sparse_chance.uniform(key, counter, stream, link), expected.numpy())
