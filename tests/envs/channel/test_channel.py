"""What is said is heard when, where and as the medium says, and nothing else leaks."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from parrots import Parrots

from envs.channel import Channel, Settings
from envs.channel.maths import next_bad, quantised
from envs.channel.medium import Medium

NAMES = [f"parrot_{i}" for i in range(3)]


def say(env: Any, words: Any = None) -> dict[str, Any]:
    """Actions in which the agents say `words` (N, E), or the step that they are in over 100, and their index."""
    if words is None:
        words = [[env.unwrapped.clock / 100, i / 100] for i in range(len(env.possible_agents))]
    by_name = dict(zip(env.possible_agents, np.asarray(words, np.float32), strict=True))
    return {name: {"action": 1, "message": by_name[name]} for name in env.agents}


def play(env: Any, steps: int, words: Any = None, seed: int | None = 0) -> list[Any]:
    """Returns observations and infos of reset and of each step; `words` (T, N, E)."""
    course = [env.reset(seed=seed)]
    for t in range(steps):
        observations, _, _, _, infos = env.step(say(env, None if words is None else words[t]))
        course.append((observations, infos))
    return course


def heard(course: Any, agent: str) -> tuple[Any, Any]:
    """Returns what an agent heard (T + 1, N - 1, E), and the ages (T + 1, N - 1)."""
    rows = [observations[agent] for observations, _ in course]
    return np.array([row["heard"] for row in rows]), np.array([row["age"] for row in rows])


@pytest.mark.parametrize("delay", [0, 1, 4])
def test_a_message_arrives_exactly_when_it_is_due(delay: int) -> None:
    course = play(Channel(Parrots(), entries=2, delay=delay), 12)
    for i, agent in enumerate(NAMES):
        others = [k for k in range(3) if k != i]
        words, age = heard(course, agent)
        for t in range(13):  # the observation that follows t steps
            sent = t - 1 - delay  # the step whose message is the newest that can have come
            if sent < 0:
                assert not words[t].any()
                assert (age[t] == 17 + delay).all()
                continue
            np.testing.assert_allclose(words[t], [[sent / 100, k / 100] for k in others], rtol=1e-6)
            assert (age[t] == delay).all()


def test_of_random_delays_the_newest_message_counts() -> None:
    env = Channel(Parrots(steps=400), entries=2, delay=(1, 3))
    said = np.repeat(np.arange(300) / 1000, 6).reshape(300, 3, 2)
    words, age = heard(play(env, 300, said), "parrot_0")
    sent = np.round(1000 * words[10:, :, 0])
    np.testing.assert_array_equal(np.arange(10, 301)[:, None] - 1 - sent, age[10:])
    assert (np.diff(sent, axis=0) >= 0).all(), "an older message replaced a newer one"
    assert set(np.unique(age[10:])) == {1, 2, 3}
    # Heard at age 1: it took 1 step. At age 2: it did not, and that of the step before took at most 2 ...
    shares = [(age[10:] == k).mean() for k in (1, 2, 3)]
    np.testing.assert_allclose(shares, [1 / 3, 2 / 3 * 2 / 3, 2 / 3 * 1 / 3], atol=0.06)


@pytest.mark.parametrize(
    "options",
    [
        {"loss": 0.5, "burst": 4.0, "delay": (0, 3)},
        {"delay": 2, "decay": 0.9, "bits": 3},
        {"partition": [(5, 15, [NAMES[:1], NAMES[1:]])]},
    ],
    ids=str,
)
def test_nothing_leaks_that_was_not_delivered(options: dict[str, Any]) -> None:
    """Other words are sent on the links that did not deliver; no observation of the listener may change."""
    rng, steps = np.random.default_rng(0), 30
    env = Channel(Parrots(), entries=2, memory=4, **options)
    words = rng.uniform(-1, 1, (steps, 3, 2)).astype(np.float32)
    base = play(env, steps, words)
    before, age = heard(base, "parrot_0")
    arrived = np.zeros((steps, 3), bool)  # a message was heard by parrot_0 at some time
    for t in range(1, steps + 1):
        for row, k in enumerate((1, 2)):
            if age[t, row] < env.settings.nothing:
                arrived[t - 1 - int(age[t, row]), k] = True
    assert arrived.any()
    assert not arrived[:, 1:].all()
    other = np.where(arrived[:, :, None], words, -words)
    other[:, 0] = -words[:, 0]  # what it says itself is not heard by it, either
    after, again = heard(play(env, steps, other), "parrot_0")
    np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(age, again)
    mute = np.where(arrived[:, :, None], -words, words)  # the test can fail: what arrived does matter
    assert (heard(play(env, steps, mute), "parrot_0")[0] != before).any()


def test_a_message_changes_nothing_before_it_is_due() -> None:
    rng = np.random.default_rng(1)
    words = rng.uniform(-1, 1, (20, 3, 2)).astype(np.float32)
    for delay in (0, 3):
        env = Channel(Parrots(), entries=2, delay=delay)
        other = words.copy()
        other[7] = -other[7]
        one, two = (heard(play(env, 20, said), "parrot_1")[0] for said in (words, other))
        differs = (one != two).any(axis=(1, 2))
        assert np.flatnonzero(differs).tolist() == [8 + delay]


def test_losses_and_ages_are_those_of_the_numbers_drawn() -> None:
    """A medium written again from the same random numbers, link by link."""
    loss, burst, memory, n, steps = 0.4, 3.0, 5, 3, 60
    course = play(Channel(Parrots(n, steps=100), entries=2, loss=loss, burst=burst, memory=memory), steps, seed=5)
    rng = np.random.default_rng(np.random.SeedSequence(5).spawn(1)[0])
    bad, last = rng.random((n, n)) < loss, np.full((n, n), -(10**6))
    for t in range(steps):
        last = np.where(bad, last, t)
        bad = next_bad(bad, rng.random((n, n)), loss, burst)
        rng.random((n, n))  # delays
        for i, agent in enumerate(NAMES):
            shown = course[t + 1][0][agent]
            for row, k in enumerate(j for j in range(n) if j != i):
                known = t - last[i, k] <= memory
                assert shown["age"][row] == (t - last[i, k] if known else memory + 1)
                word = [last[i, k] / 100, k / 100] if known else [0, 0]
                np.testing.assert_allclose(shown["heard"][row], word, rtol=1e-6)


def test_a_medium_loses_its_share_in_spells_of_their_length() -> None:
    medium, n = Medium(Settings(1, loss=0.3, burst=5.0), 12), 12
    medium.reset(np.random.default_rng(0))
    everything = np.ones((n, n), bool)
    got = np.array([medium.send(np.zeros((n, 1)), everything[0], everything) for _ in range(1500)])  # (T, N, N)
    lost = ~got[:, ~np.eye(n, dtype=bool)]
    assert lost.mean() == pytest.approx(0.3, abs=0.02)
    assert lost[1:].sum() / ((lost[1:] & ~lost[:-1]).sum() + lost[0].sum()) == pytest.approx(5.0, rel=0.06)
    # Links fail independently: two of them are lost together as often as chance says.
    assert (lost[:, 0] & lost[:, 1]).mean() == pytest.approx(0.09, abs=0.05)


def test_partitions_cut_exactly_and_agents_hear_each_other_again_afterwards() -> None:
    apart = [(3, 6, [["parrot_0"], ["parrot_1"]])]
    course = play(Channel(Parrots(), entries=2, partition=apart, memory=2), 10)
    _, ages = heard(course, "parrot_0")
    assert ages[:, 0].tolist() == [3, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0]  # of parrot_1: steps 3, 4 and 5 were cut
    assert ages[:, 1].tolist() == ages[:, 0].tolist()  # parrot_2, which no group names, is by itself
    words, _ = heard(course, "parrot_1")
    assert not words[6, 0].any()
    assert words[7, 0].tolist() == pytest.approx([0.06, 0.0])
    assert heard(course, "parrot_2")[1][:, 0].tolist() == ages[:, 0].tolist()
    assert play(Channel(Parrots(), entries=2, partition=[(3, 6, [["parrot_0", "parrot_1"]])]), 5)[5][0]["parrot_0"][
        "age"
    ].tolist() == [0, 2]


def test_a_message_under_way_passes_a_partition() -> None:
    course = play(Channel(Parrots(), entries=2, delay=2, partition=[(3, 6, [NAMES[:1], NAMES[1:]])]), 10)
    assert heard(course, "parrot_0")[1][:, 0].tolist() == [19, 19, 19, 2, 2, 2, 3, 4, 5, 2, 2]


def test_a_message_is_heard_as_long_after_it_arrived_however_late_that_was() -> None:
    """With memory 0 in one step only, as in the medium within algorithms, whatever its delay."""
    env = Channel(Parrots(steps=300), entries=2, delay=(0, 5), memory=0, loss=0.9)
    course = play(env, 200, np.zeros((200, 3, 2)))
    for agent in NAMES:
        _, age = heard(course, agent)
        sent = np.arange(201)[:, None] - 1 - age  # (T + 1, N - 1) the step in which what is heard was sent
        for row in range(2):
            known = sent[age[:, row] < env.settings.nothing, row]
            assert len(known) > 10
            assert len(set(known.tolist())) == len(known)


def test_no_range_is_any_range() -> None:
    for far in (0.0, math.inf):
        env = Channel(Parrots(), entries=2, range=far)
        assert (heard(play(env, 3), "parrot_0")[1][1:] == 0).all()


def test_range_is_that_of_the_moment_of_sending() -> None:
    parrots = Parrots()
    env = Channel(parrots, entries=2, range=1.0, memory=0, positions=lambda inner: inner.places)
    env.reset(seed=0)
    heard_of = []
    for t in range(3):
        parrots.places["parrot_2"] = (1.0 + t, 0.0)  # 2 m, in the end, from parrot_1
        observations, *_ = env.step(say(env))
        heard_of.append({name: (observations[name]["age"] == 0).tolist() for name in NAMES})
    near = {"parrot_0": [True, True], "parrot_1": [True, True], "parrot_2": [True, True]}
    middle = {"parrot_0": [True, False], "parrot_1": [True, True], "parrot_2": [False, True]}
    far = {"parrot_0": [True, False], "parrot_1": [True, False], "parrot_2": [False, False]}
    assert heard_of == [near, middle, far]
    del parrots.places["parrot_1"]
    observations, *_ = env.step(say(env))
    assert not any((observations[name]["age"] == 0).any() for name in NAMES)


def test_the_dead_fall_silent_and_the_unborn_have_heard_nothing() -> None:
    parrots = Parrots(4, dies={"parrot_1": 2}, born={"parrot_3": 4})
    course = play(Channel(parrots, entries=2, memory=3), 10)
    _, ages = heard(course, "parrot_0")
    # It dies in step 2, in which it still speaks.
    assert ages[:, 0].tolist() == [4, 0, 0, 0, 1, 2, 3, 4, 4, 4, 4]
    assert ages[:, 2].tolist() == [4, 4, 4, 4, 4, 4, 0, 0, 0, 0, 0]  # born in step 4, it speaks in step 5
    assert "parrot_1" in course[3][0]
    assert "parrot_1" not in course[4][0]
    born = course[5][0]["parrot_3"]
    assert not born["heard"].any()
    assert (born["age"] == 4).all()
    assert course[6][0]["parrot_3"]["age"].tolist() == [0, 4, 0]  # parrot_1 has died before


def test_levels_and_fading_reach_the_observation() -> None:
    rng = np.random.default_rng(0)
    words = rng.uniform(-1, 1, (15, 3, 4)).astype(np.float32)
    env = Channel(Parrots(), entries=4, bits=2, loss=0.5, decay=0.5, memory=3)
    said, age = heard(play(env, 15, words), "parrot_2")
    for t in range(1, 16):
        for k in range(2):
            if age[t, k] <= 3:
                sent = quantised(words[t - 1 - int(age[t, k]), k], 2)
                np.testing.assert_allclose(said[t, k], sent * 0.5 ** age[t, k], rtol=1e-6)
    assert {1, 2} <= set(age.ravel().tolist())


def test_equal_seeds_give_equal_bytes_whatever_is_said() -> None:
    env = Channel(Parrots(), entries=2, loss=0.4, delay=(0, 2))
    one, two, other = (play(env, 20, seed=seed) for seed in (3, 3, 4))
    assert data_equivalence(one, two)
    assert not data_equivalence(one, other)
    words = np.zeros((20, 3, 2))
    np.testing.assert_array_equal(heard(one, "parrot_0")[1], heard(play(env, 20, words, seed=3), "parrot_0")[1])
    following = [play(env, 20, seed=None) for _ in range(2)]
    assert not data_equivalence(following[0], following[1]), "episodes without a seed repeat each other"
    env.reset(seed=4)
    again = [play(env, 20, seed=None) for _ in range(2)]
    env.reset(seed=4)
    assert data_equivalence(again, [play(env, 20, seed=None) for _ in range(2)])


def test_copies_go_on_alike() -> None:
    env = Channel(Parrots(), entries=2, loss=0.4)
    play(env, 5)
    twins = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    for _ in range(10):
        shown = [one.step(say(one)) for one in (env, *twins)]
        assert data_equivalence(shown[0], shown[1])
        assert data_equivalence(shown[0], shown[2])


def test_infos_count_what_was_sent_and_delivered() -> None:
    course = play(Channel(Parrots(), entries=2, bits=3, partition=[(1, 2, [NAMES[:1], NAMES[1:]])]), 3)
    told = [infos["parrot_0"]["channel"] for _, infos in course]
    assert all(infos["parrot_0"]["note"] == 1 for _, infos in course)
    assert np.isnan([told[0]["delivered"], told[0]["mean_age"]]).all()
    assert [one["delivered"] for one in told[1:]] == [1.0, 0.0, 1.0]
    assert [one["mean_age"] for one in told[1:]] == [0.0, 1.0, 0.0]
    assert [one["bits_sent"] for one in told] == [0, 6, 6, 6]
    assert course[2][1]["parrot_1"]["channel"]["delivered"] == 0.5
    assert play(Channel(Parrots(), entries=2), 1)[1][1]["parrot_0"]["channel"]["bits_sent"] == 64


def test_own_actions_arrive_as_they_are_and_those_without_an_action_are_silent() -> None:
    parrots = Parrots()
    env = Channel(parrots, entries=2)
    env.reset(seed=0)
    actions = say(env)
    del actions["parrot_1"]
    observations, *_ = env.step(actions)
    assert parrots.taken[-1] == {"parrot_0": 1, "parrot_2": 1}
    assert observations["parrot_0"]["age"].tolist() == [17, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 17}, "bits=17 is out of range"),
        ({"loss": 1.5}, "loss=1.5 is out of range"),
        ({"loss": 0.9, "burst": 2.0}, "burst=2.0 is too short for loss=0.9: .* at least 10 steps"),
        ({"burst": 2.0}, "burst=2.0, but loss=0: nothing is lost in spells"),
        ({"decay": 0.0}, "decay=0 is out of range"),
        ({"delay": (2, 1)}, r"delay=\(2, 1\): give whole steps"),
        ({"delay": 1.5}, "delay=1.5: give whole steps"),
        ({"range": 5.0}, "range=5.0 needs positions"),
        ({"range": -1.0}, "range=-1.0 is out of range"),
        ({"range": math.nan}, "range=nan is out of range"),
        ({"range": "far"}, "range='far' is out of range: give a distance"),
        ({"range": None}, "range=None is out of range"),
        ({"range": 1.0, "positions": 3}, "positions=3: give a function from the environment"),
        ({"positions": 3}, "positions=3: give a function from the environment"),
        ({"partition": [(3, 3, [])]}, "partition from step 3 to 3: give 0 <= start < end"),
        ({"partition": [3]}, r"partition 3: give \(start, end, groups of agents\)"),
        ({"partition": [(0, 3, [["polly"]])]}, r"names unknown agents \['polly'\]; agents are"),
        ({"partition": [(0, 3, [NAMES, NAMES[:1]])]}, "names parrot_0 more than once"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Channel(Parrots(), **options)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (1, r"action of parrot_0 is 1; give {'action': ..., 'message': ...}"),
        ({"action": 1}, "action of parrot_0 is"),
        ({"action": 1, "message": [0.0]}, r"message of parrot_0 is \[0.0\]; give 2 numbers from -1 to 1"),
        ({"action": 1, "message": [0.0, 1.1]}, "give 2 numbers"),
        ({"action": 1, "message": [0.0, np.nan]}, "give 2 numbers"),
        ({"action": 1, "message": "hello"}, "give 2 numbers"),
    ],
)
def test_bad_actions_are_refused_and_the_step_can_be_made_again(action: Any, message: str) -> None:
    env = Channel(Parrots(), entries=2, loss=0.5)
    base = play(env, 6)
    env.reset(seed=0)
    for t in range(6):
        with pytest.raises(ValueError, match=message):
            env.step({**say(env), "parrot_0": action})
        with pytest.raises(ValueError, match="unknown agents"):
            env.step({**say(env), "polly": action})
        observations, *_ = env.step(say(env))
        assert data_equivalence(observations, base[t + 1][0])
