"""Random numbers from a counter: against integers of any size in Python, and as chance should be."""

from __future__ import annotations

import torch

from algos.comm.chance import first_counter, uniform

MASK = 2**64 - 1


def mixed(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def expected(seed: int, counter: int, stream: int, link: int) -> float:
    golden = 0x9E3779B97F4A7C15
    start = mixed((mixed((seed + stream * golden) & MASK) + counter) & MASK)
    return (mixed((start + link * golden) & MASK) >> 11) / 2**53


def test_the_mixing_is_splitmix64() -> None:
    """The first outputs of the published generator for seed 0: states are multiples of the golden ratio."""
    golden = 0x9E3779B97F4A7C15
    outputs = [mixed(k * golden & MASK) for k in (1, 2, 3)]
    assert outputs == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_numbers_are_those_of_unbounded_integers() -> None:
    seeds, counters, found = [0, 1, 2**62 - 1, -5], [0, 7, 3 << 40, 2**63 - 1, -1], [0, 1, 65536 * 3 + 2, 2**40]
    links = torch.tensor(found)
    for seed in seeds:
        for stream in (1, 2, 3):
            numbers = uniform(torch.tensor(seed), torch.tensor(counters), stream, links)
            assert numbers.dtype == torch.float64
            for i, counter in enumerate(counters):
                for j, link in enumerate(found):
                    assert float(numbers[i, j]) == expected(seed & MASK, counter & MASK, stream, link)


def test_they_are_uniform_and_independent() -> None:
    links = torch.arange(8)
    counter = first_counter(5, torch.device("cpu"))[:, None] + torch.arange(400)  # (B, T)
    draws = {stream: uniform(torch.tensor(11), counter, stream, links) for stream in (1, 2)}  # (B, T, L)
    x = draws[1]
    assert bool(((x >= 0) & (x < 1)).all())
    assert abs(float(x.mean()) - 0.5) < 0.01
    assert abs(float(x.var()) - 1 / 12) < 0.004
    counts = torch.histc(x.flatten(), 10, 0.0, 1.0)
    assert bool(((counts / x.numel() - 0.1).abs() < 0.012).all())
    other = uniform(torch.tensor(12), counter, 1, links)
    pairs = [(x[:, 1:], x[:, :-1]), (x[..., 1:], x[..., :-1]), (x[1:], x[:-1]), (x, draws[2]), (x, other)]
    for one, two in pairs:  # steps, links, worlds, purposes, seeds
        assert abs(float(torch.corrcoef(torch.stack([one.flatten(), two.flatten()]))[0, 1])) < 0.04


def test_a_row_does_not_depend_on_how_many_there_are() -> None:
    links = torch.arange(16)
    many = uniform(torch.tensor(3), first_counter(7, torch.device("cpu")) + 5, 1, links)
    for world in range(7):
        alone = uniform(torch.tensor(3), first_counter(world + 1, torch.device("cpu"))[-1] + 5, 1, links)
        assert torch.equal(many[world], alone)
    assert len(set(many[:, 0].tolist())) == 7
