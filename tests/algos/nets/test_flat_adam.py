"""FlatAdam against torch's own Adam and clipping, and two networks learning side by side."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
from torch import nn

from algos.maths.threads import side_by_side
from algos.nets.flat_adam import FlatAdam
from algos.nets.layers import Dense

CPU = torch.device("cpu")
MOST = 0.5
"""The longest gradient."""


def network() -> nn.Sequential:
    """A wide layer, a narrow one, whose weights lie the other way round in memory, and torch's own."""
    generator = torch.Generator().manual_seed(0)
    made = nn.Sequential(
        Dense([6], 20, (0,), gain=1.0, generator=generator), Dense([20], 5, (0,), gain=1.0, generator=generator)
    )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(generator=generator)
    return made


def losses(made: nn.Module, scale: float) -> list[torch.Tensor]:
    """Three losses, with gradients above and below `MOST`, by `scale`."""
    x = torch.randn(3, 7, 1, 6, generator=torch.Generator().manual_seed(1))
    return [scale * made(part).square().mean() for part in x]


@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_it_is_adam_with_clipped_gradients(scale: float) -> None:
    ours, theirs = network(), network()
    optimiser = FlatAdam(ours, lr=0.01, eps=1e-5, max_grad_norm=MOST)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.01, eps=1e-5)
    for k in range(3):
        optimiser.lr = adam.param_groups[0]["lr"] = 0.01 / (k + 1)
        norm = optimiser.step(losses(ours, scale)[k])
        adam.zero_grad()
        losses(theirs, scale)[k].backward()
        wanted = nn.utils.clip_grad_norm_(theirs.parameters(), MOST)
        adam.step()
        torch.testing.assert_close(norm, wanted)
        assert (norm > MOST) == (scale == 1.0)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_it_goes_on_from_its_state_bit_for_bit() -> None:
    one = network()
    optimiser = FlatAdam(one, lr=0.01, eps=1e-5, max_grad_norm=MOST)
    optimiser.step(losses(one, 1.0)[0])
    other = network()
    resumed = FlatAdam(other, lr=0.5, eps=1e-5, max_grad_norm=MOST)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    for network_of, steps in ((one, optimiser), (other, resumed)):
        steps.step(losses(network_of, 1.0)[1])
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.fixture
def two_threads():
    """Torch on two threads for the length of a test."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_side_by_side_means_at_once_and_on_one_thread_each() -> None:
    meeting = threading.Barrier(2, timeout=60)  # breaks, and raises, if one of the two never comes

    def work() -> tuple[int, int]:
        meeting.wait()
        return torch.get_num_threads(), threading.get_ident()

    (threads, here), (other_threads, there) = side_by_side(work, work, device=CPU)
    assert threads == other_threads == 1
    assert here == threading.get_ident() != there
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_side_by_side_waits_for_the_other_before_it_raises() -> None:
    failed, ended = threading.Event(), threading.Event()

    def fail() -> None:
        failed.set()
        raise ArithmeticError("the first")

    def end() -> None:
        failed.wait(60)
        ended.set()

    with pytest.raises(ArithmeticError, match="the first"):
        side_by_side(fail, end, device=CPU)
    assert ended.is_set()
    with pytest.raises(ArithmeticError, match="the first"):
        side_by_side(lambda: None, fail, device=CPU)
    assert torch.get_num_threads() == 2


def test_side_by_side_takes_turns_on_one_thread() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert side_by_side(threading.get_ident, threading.get_ident, device=CPU) == (threading.get_ident(),) * 2
    finally:
        torch.set_num_threads(before)
