"""The agents that could be heard: by the environment's word, all, the nearest, those within a radius."""

from __future__ import annotations

import pytest
import torch

from algos.comm.reach import within_reach

B, N = 3, 6


def world() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    adjacency = torch.rand(B, N, N, generator=generator) < 0.5
    alive = torch.rand(B, N, generator=generator) < 0.8
    pose = 10.0 * torch.rand(B, N, 2, generator=generator)
    pose[~alive] = torch.nan  # whatever is said of the dead
    return adjacency, alive, pose


@pytest.mark.parametrize("farthest", [0.0, 4.0])
@pytest.mark.parametrize("graph", [("env", 0.0), ("full", 0.0), ("knn", 2.0), ("knn", 9.0), ("radius", 5.0)])
def test_each_graph_pair_by_pair(graph: tuple[str, float], farthest: float) -> None:
    adjacency, alive, pose = world()
    kind, number = graph
    found = within_reach(graph, adjacency, alive, pose, farthest)
    for b in range(B):
        for i in range(N):
            others = [j for j in range(N) if j != i and alive[b, i] and alive[b, j]]
            apart = {j: float((pose[b, i] - pose[b, j]).norm()) for j in others}
            nearest = sorted(others, key=apart.__getitem__)[: int(number)]
            expected = {
                "env": [j for j in others if adjacency[b, i, j]],
                "full": others,
                "knn": nearest,
                "radius": [j for j in others if apart[j] <= number],
            }[kind]
            expected = [j for j in expected if not farthest or apart[j] <= farthest]
            assert found[b, i].nonzero().flatten().tolist() == sorted(expected), (b, i)
    assert bool(found.any())
