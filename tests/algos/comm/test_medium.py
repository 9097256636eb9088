"""The medium, step by step, against a slow reference that keeps every message by itself."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from algos.comm.config import ChannelConfig
from algos.comm.medium import Medium
from algos.core import NOTHING

B, N, R, P = 3, 3, 2, 4


def medium_of(*, seed: int = 5, n_agents: int = N, **options: Any) -> Medium:
    return Medium(ChannelConfig(**options), n_agents, rounds=R, packet=P, seed=seed)


def scene(steps: int, *, share: float = 0.4, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Returns reach (T, B, N, N), alive (T, B, N) and started (T, B): agents are born late and die, worlds restart."""
    rng = np.random.default_rng(seed)
    started = rng.random((steps, B)) < 0.08
    started[0] = True
    alive = np.ones((steps, B, N), bool)
    birth, death = np.zeros((B, N)), np.full((B, N), 99)
    for t in range(steps):
        new = started[t]
        birth[new] = t + rng.integers(0, 3, (new.sum(), N))
        death[new] = birth[new] + rng.integers(4, 30, (new.sum(), N))
        alive[t] = (birth <= t) & (t < death)
    reach = (rng.random((steps, B, N, N)) < share) & alive[..., None] & alive[..., None, :] & ~np.eye(N, dtype=bool)
    return torch.from_numpy(reach), torch.from_numpy(alive), torch.from_numpy(started)


def play(medium: Medium, reach: Tensor, alive: Tensor, started: Tensor, **more: Any) -> list[dict[str, Tensor]]:
    """Returns the memory after each step; packets hold the step in which they were said, the world and the agent."""
    memory, found = medium.first_memory(alive.shape[1]), []
    for t in range(len(reach)):
        packet = more["packet"][t] if "packet" in more else None
        hearing, memory = medium.listen(memory, reach[t], alive[t], started[t], packet)
        age = hearing.age if hearing.before is None else hearing.age[0]
        assert torch.equal(age, memory["age"])
        found.append({**memory, "before": memory.get("said", torch.empty(0))})
        b, n = alive.shape[1:]
        said = torch.stack(
            [torch.full((b, n), float(t)), torch.arange(b).float()[:, None].expand(b, n), torch.arange(n).expand(b, n)],
            -1,
        )
        packets = torch.cat([said, torch.zeros(b, n, P - 3)], -1)[:, :, None].expand(b, n, R, P)
        memory = medium.remember(memory, packets, None)
    return found


def expected_ages(
    config: ChannelConfig, reach: Tensor, alive: Tensor, started: Tensor, delay: list[Tensor]
) -> list[Tensor]:
    """Keeps all messages in lists: one is heard for `memory` steps after it arrived, unless a newer one arrives."""
    found, sent = [], {}
    held: dict[tuple[int, int, int], tuple[int, int]] = {}  # by link, when what is heard was said, and when it arrived
    for t in range(len(reach)):
        age = torch.full((B, N, N), NOTHING, dtype=torch.uint8)
        for link in itertools.product(range(B), range(N), range(N)):
            b, i, j = link
            if bool(started[t, b]):
                sent[link] = []
                held.pop(link, None)
            if bool(reach[t, b, i, j]):
                sent[link].append((t, t + int(delay[t][b, i, j])))
            if link in held and t - held[link][1] > config.memory:
                del held[link]
            come = max((said for said, arrives in sent[link] if arrives == t), default=-1)
            if come > held.get(link, (-1, -1))[0]:
                held[link] = come, t
            if link in held and bool(alive[t, b, i]):
                age[b, i, j] = t - held[link][0]
        found.append(age)
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"loss": 1e-12, "memory": 4},
        {"delay": 2, "memory": 0},
        {"delay": 3, "memory": 2},
        {"delay": 0, "delay_most": 3, "memory": 0},
        {"delay": 1, "delay_most": 4, "memory": 3},
    ],
    ids=lambda options: "-".join(f"{name}={value}" for name, value in options.items()),
)
def test_what_is_heard_is_the_newest_message_that_has_arrived(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    medium, (reach, alive, started) = medium_of(**options), scene(60, share=0.3)
    fixed = torch.full((B, N, N), medium.config.delay)
    delays: list[Tensor] = []
    original = medium._late

    def late(counter: Tensor) -> Tensor:
        delays.append(original(counter))
        return delays[-1]

    monkeypatch.setattr(medium, "_late", late)
    found = play(medium, reach, alive, started)
    expected = expected_ages(medium.config, reach, alive, started, delays or [fixed] * 60)
    if delays:
        most = torch.stack(delays)
        assert (int(most.min()), int(most.max())) == (medium.config.delay, medium.config.latest)
    history = medium.config.history
    for t, (memory, age) in enumerate(zip(found, expected, strict=True)):
        assert torch.equal(memory["age"], age), t
        for b, i, j in (age != NOTHING).nonzero().tolist():  # and that is what lies in the memory
            old = int(age[b, i, j])
            if old:
                packet = memory["before"][b, j, history - old, 0]
                assert packet[:3].tolist() == [t - old, b, j]
    ages = torch.stack(expected)
    heard = ages[ages != NOTHING]
    assert int(heard.max()) == history  # the reference has seen messages fade
    assert int(heard.min()) == medium.config.delay


def test_without_memory_a_message_is_heard_once_however_long_it_took() -> None:
    """One message on a link, in a medium of random delays: silence before it arrives, and after."""
    medium = medium_of(delay_most=5, memory=0)
    steps = 12
    alive = torch.ones(steps, B, N, dtype=torch.bool)
    reach = torch.zeros(steps, B, N, N, dtype=torch.bool)
    reach[0] = ~torch.eye(N, dtype=torch.bool)
    started = torch.zeros(steps, B, dtype=torch.bool)
    started[0] = True
    ages = torch.stack([memory["age"] for memory in play(medium, reach, alive, started)])  # (T, B, N, N)
    heard = (ages != NOTHING).sum(0)
    assert torch.equal(heard == 1, reach[0])
    assert int(heard.sum()) == int(reach[0].sum())
    assert len(set(ages[ages != NOTHING].tolist())) > 2


def test_an_ideal_medium_hears_all_in_reach_and_remembers_nothing() -> None:
    medium, (reach, alive, started) = medium_of(), scene(20)
    assert not medium.config.remembers
    for t, memory in enumerate(play(medium, reach, alive, started)):
        assert torch.equal(memory["age"] == 0, reach[t])
        assert torch.equal(memory["age"] == NOTHING, ~reach[t])
        assert "said" not in memory
        assert torch.equal(memory["sent"], alive[t])


def test_memory_zero_forgets_what_was_lost() -> None:
    medium, (reach, alive, started) = medium_of(loss=0.5, memory=0), scene(40, share=1.0)
    ages = torch.stack([memory["age"] for memory in play(medium, reach, alive, started)])
    assert set(ages.unique().tolist()) == {0, NOTHING}
    assert bool((reach & (ages == NOTHING)).any())


def test_a_dead_sender_is_heard_until_it_fades_and_a_dead_receiver_hears_nothing() -> None:
    medium = medium_of(loss=1e-12, memory=3)
    alive = torch.ones(8, 1, N, dtype=torch.bool)
    alive[2:, 0, 1] = False
    reach = alive[..., None] & alive[..., None, :] & ~torch.eye(N, dtype=torch.bool)
    started = torch.zeros(8, 1, dtype=torch.bool)
    started[0] = True
    ages = [memory["age"][0] for memory in play(medium, reach, alive, started)]
    assert [int(age[0, 1]) for age in ages] == [0, 0, 1, 2, 3, NOTHING, NOTHING, NOTHING]
    assert [int(age[1, 0]) for age in ages] == [0, 0] + [NOTHING] * 6


def test_a_start_forgets_everything_but_the_chance() -> None:
    medium = medium_of(delay=1, delay_most=3, loss=0.3, burst=4.0, change=1.0, partition="2-4:0|1,2", memory=5)
    reach, alive, started = scene(12, share=1.0)
    packet = torch.randn(12, B, N, P, generator=torch.Generator().manual_seed(0))
    memory = play(medium, reach, alive, started, packet=packet)[-1]
    del memory["before"]
    new = torch.ones(B, dtype=torch.bool)
    first = {**medium.first_memory(B), "counter": memory["counter"]}
    one = medium.listen(memory, reach[0], alive[0], new, packet[0])
    two = medium.listen(first, reach[0], alive[0], new, packet[0])
    assert torch.equal(one[0].age, two[0].age)
    assert one[1].keys() == two[1].keys() == first.keys()
    for name, part in one[1].items():
        assert torch.equal(part, two[1][name]), name


def test_listening_changes_nothing_that_it_was_given() -> None:
    medium = medium_of(delay=1, delay_most=2, loss=0.3, burst=4.0, change=1.0, partition="2-4:0|1,2")
    reach, alive, started = scene(2, share=1.0)
    first = medium.first_memory(B)
    copy = {name: part.clone() for name, part in first.items()}
    medium.listen(first, reach[0], alive[0], started[0], torch.ones(B, N, P))
    assert all(torch.equal(part, copy[name]) for name, part in first.items())


def test_the_memory_is_no_view_of_what_belongs_to_the_environment() -> None:
    medium, (reach, alive, started) = medium_of(), scene(1)
    _, memory = medium.listen(medium.first_memory(B), reach[0], alive[0], started[0])
    before = alive[0].clone()
    assert bool(before.any())
    alive[0] = False
    assert torch.equal(memory["sent"], before)


def test_a_partition_keeps_groups_apart_and_then_they_hear_each_other_again() -> None:
    """Agents 0 and 1, and agents 2 and 3, which no group names, from step 3 until step 6 of an episode."""
    medium = medium_of(n_agents=4, partition="3-6:0,1", memory=2)
    steps = 12
    alive = torch.ones(steps, 1, 4, dtype=torch.bool)
    reach = (~torch.eye(4, dtype=torch.bool)).expand(steps, 1, 4, 4)
    started = torch.zeros(steps, 1, dtype=torch.bool)
    started[[0, 8]] = True
    ages = torch.stack([memory["age"][0] for memory in play(medium, reach, alive, started)])
    for i, j in ((0, 1), (1, 0), (2, 3), (3, 2)):
        assert bool((ages[:, i, j] == 0).all())
    for i, j in ((0, 2), (1, 3), (3, 0), (2, 1)):
        assert ages[:, i, j].tolist() == [0, 0, 0, 1, 2, NOTHING, 0, 0, 0, 0, 0, 1]


def test_a_partition_that_names_agents_that_there_are_not_is_refused() -> None:
    with pytest.raises(ValueError, match="names agent 3; there are agents 0 to 2"):
        medium_of(partition="0-1:0|3")


def test_losses_are_as_many_as_asked_for_and_independent() -> None:
    medium = medium_of(loss=0.3, memory=0, n_agents=8)
    steps = 300
    alive = torch.ones(steps, 4, 8, dtype=torch.bool)
    reach = (~torch.eye(8, dtype=torch.bool)).expand(steps, 4, 8, 8)
    ages = torch.stack([memory["age"] for memory in play(medium, reach, alive, torch.zeros(steps, 4).bool())])
    lost = (ages == NOTHING)[reach].view(steps, -1).float()
    assert float(lost.mean()) == pytest.approx(0.3, abs=0.01)
    assert float((lost[1:] * lost[:-1]).mean()) == pytest.approx(0.09, abs=0.01)
    assert float((lost[:, 1:] * lost[:, :-1]).mean()) == pytest.approx(0.09, abs=0.01)


@pytest.mark.parametrize("every", [10_000, 5])
def test_bursts_have_their_share_and_their_length(every: int) -> None:
    """Also where episodes are as short as spells: each begins in the stationary state."""
    medium = medium_of(loss=0.3, burst=6.0, memory=0, n_agents=8)
    steps = 600
    alive = torch.ones(steps, 4, 8, dtype=torch.bool)
    reach = (~torch.eye(8, dtype=torch.bool)).expand(steps, 4, 8, 8)
    started = (torch.arange(steps) % every == 0)[:, None].expand(steps, 4)
    ages = torch.stack([memory["age"] for memory in play(medium, reach, alive, started)])
    lost = (ages == NOTHING)[reach].view(steps, -1)
    assert float(lost.float().mean()) == pytest.approx(0.3, abs=0.02)
    if every > steps:
        begins = (lost[1:] & ~lost[:-1]).sum()
        assert float(lost[1:].sum() / begins) == pytest.approx(6.0, rel=0.1)


def test_with_loss_one_nobody_hears_anything() -> None:
    medium, (reach, alive, started) = medium_of(loss=1.0, delay=2), scene(10, share=1.0)
    assert not medium.config.remembers
    assert all(bool((memory["age"] == NOTHING).all()) for memory in play(medium, reach, alive, started))


def test_the_counter_decides_and_not_the_size_of_the_batch() -> None:
    """Row b is what a batch of one does with the memory of row b; a world alone from the start is row 0."""
    medium = medium_of(loss=0.4, burst=3.0, delay=1, delay_most=3, memory=4)
    reach, alive, started = scene(30, share=1.0)
    whole = play(medium, reach, alive, started)
    for b in range(B):
        first = {name: part[b : b + 1] for name, part in medium.first_memory(B).items()}
        alone = medium_of(loss=0.4, burst=3.0, delay=1, delay_most=3, memory=4)
        alone.first_memory = lambda n_worlds, first=first: first  # type: ignore[method-assign]
        rows = play(alone, *(part[:, b : b + 1] for part in (reach, alive, started)))
        assert all(torch.equal(row["age"], all_["age"][b : b + 1]) for row, all_ in zip(rows, whole, strict=True))
    rows = play(medium, *(part[:, :1] for part in (reach, alive, started)))
    assert all(torch.equal(row["age"], all_["age"][:1]) for row, all_ in zip(rows, whole, strict=True))
    ages = torch.stack([memory["age"] for memory in whole])
    assert not torch.equal(ages[:, 0], ages[:, 1])


def test_another_seed_is_another_chance() -> None:
    reach, alive, started = scene(20, share=1.0)
    one, same, other = (
        torch.stack([memory["age"] for memory in play(medium_of(loss=0.5, seed=seed), reach, alive, started)])
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(("change", "every"), [(1e6, 7), (1e-9, 3)])
def test_agents_speak_at_most_and_at_least_so_often(change: float, every: int) -> None:
    medium = medium_of(change=change, least=3, longest=7, memory=0)
    steps = 30
    alive = torch.ones(steps, B, N, dtype=torch.bool)
    alive[:5, :, 1] = False  # born later
    reach = alive[..., None] & alive[..., None, :] & ~torch.eye(N, dtype=torch.bool)
    packet = torch.randn(steps, B, N, P, generator=torch.Generator().manual_seed(0)).cumsum(0)
    started = torch.zeros(steps, B, dtype=torch.bool)
    started[0] = True
    found = play(medium, reach, alive, started, packet=packet)
    sent = torch.stack([memory["sent"] for memory in found])
    for agent, first in ((0, 0), (1, 5)):
        spoke = sent[:, 0, agent].nonzero().flatten().tolist()
        assert spoke == list(range(first, steps, every))
    ages = torch.stack([memory["age"] for memory in found])
    assert torch.equal(ages == 0, reach & sent.unsqueeze(2))


def test_agents_speak_when_their_message_has_moved() -> None:
    """A random walk of numbers, and the rule step by step."""
    medium = medium_of(change=1.5, least=2, longest=9, memory=0)
    steps = 200
    walk = torch.randn(steps, 1, N, P, generator=torch.Generator().manual_seed(1))
    walk = (walk * torch.rand(steps, 1, N, 1, generator=torch.Generator().manual_seed(2)).round()).cumsum(0)
    alive = torch.ones(steps, 1, N, dtype=torch.bool)
    reach = (~torch.eye(N, dtype=torch.bool)).expand(steps, 1, N, N)
    started = torch.zeros(steps, 1, dtype=torch.bool)
    started[0] = True
    sent = torch.stack([memory["sent"][0] for memory in play(medium, reach, alive, started, packet=walk)])
    for agent in range(N):
        x = walk[:, 0, agent].double()
        usual, last, silent = 0.0, x[0], 1
        expected = [True]
        for t in range(1, steps):
            stride = float((x[t] - x[t - 1]).norm())
            usual = 0.9 * usual + 0.1 * stride if usual > 0 else stride
            speaks = silent >= 9 or (silent >= 2 and float((x[t] - last).norm()) > 1.5 * usual)
            expected.append(speaks)
            last, silent = (x[t], 1) if speaks else (last, silent + 1)
        assert sent[:, agent].tolist() == expected
    assert 0.15 < float(sent.float().mean()) < 0.5


def test_remembering_shifts_the_history_and_gates_say_who_spoke() -> None:
    medium = medium_of(loss=0.5, memory=3)
    _, memory = medium.listen(
        medium.first_memory(1), torch.ones(1, N, N).bool(), torch.ones(1, N).bool(), torch.ones(1).bool()
    )
    packets = torch.ones(1, N, R, P)
    speaks = torch.tensor([[True, False, True]])
    after = medium.remember(memory, packets, speaks)
    assert torch.equal(after["sent"], speaks)
    assert torch.equal(after["said"][:, :, -1], packets)
    assert bool((after["said"][:, :, :-1] == 0).all())
    assert bool((memory["said"] == 0).all())


def test_with_a_curriculum_a_medium_that_loses_everything_begins_by_losing_nothing() -> None:
    medium, (reach, alive, started) = medium_of(loss=1.0, memory=0, curriculum=0.5), scene(20, share=1.0)
    for tightness in (0.0, 0.5, 1.0):
        medium.tightness.tightness.fill_(tightness)
        ages = torch.stack([memory["age"] for memory in play(medium, reach, alive, started)])
        lost = (ages == NOTHING)[reach].float().mean()
        assert float(lost) == pytest.approx(tightness, abs=0.1 if tightness == 0.5 else 0.0)


def test_outside_training_a_medium_is_as_tight_as_was_asked_for() -> None:
    medium = medium_of(loss=0.5, memory=0, range=10.0, bits=2, curriculum=0.5)
    with medium.as_configured():
        assert (medium.levels(), medium.farthest(), medium.tight) == (4.0, 10.0, 1.0)
        with medium.as_configured():
            pass
        assert medium.tight == 1.0
    assert (medium.levels(), medium.tight) == (2.0**16, 0.0)


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**64 - 1, 12345678901234567890123])
def test_seeds_of_an_episode_are_chances_of_their_own(seed: int) -> None:
    """The same again for the same seed, as often as asked for, and another than that of training or of a neighbour."""
    medium = medium_of(loss=0.5, memory=0)
    reach, alive, started = scene(20, share=1.0)

    def ages(of: int | None) -> Tensor:
        first = medium.first_memory(B, of)
        one = medium_of(loss=0.5, memory=0)
        one.first_memory = lambda n_worlds, seed=None: first  # type: ignore[method-assign]
        return torch.stack([memory["age"] for memory in play(one, reach, alive, started)])

    assert torch.equal(ages(seed), ages(seed))
    for other in (None, seed + 1):
        same = (ages(seed) == ages(other))[reach].float().mean()
        assert float(same) == pytest.approx(0.5, abs=0.1)


def test_the_curriculum_loosens_loss_range_and_bits() -> None:
    medium = medium_of(loss=0.5, memory=0, range=10.0, bits=2, curriculum=0.5)
    reach, alive, started = scene(20, share=1.0)
    assert medium.levels() == 2.0**16
    assert medium.farthest() == pytest.approx(1000.0)
    ages = [memory["age"] for memory in play(medium, reach, alive, started)]
    assert torch.equal(torch.stack(ages) == 0, reach)  # nothing is lost yet
    medium.tightness.tightness.fill_(1.0)
    assert medium.levels() == 4.0
    assert medium.farthest() == 10.0
    ages = [memory["age"] for memory in play(medium, reach, alive, started)]
    assert not torch.equal(torch.stack(ages) == 0, reach)
