"""MADDPG, MATD3 and IDDPG on worlds with known best returns, their targets by hand, and their promises."""

from __future__ import annotations

import dataclasses
import gc
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from streams import SPECS, Stream, drive, same
from toys import (
    Carry,
    Departing,
    Endless,
    Leaving,
    Martyr,
    Match,
    Offset,
    Payoff,
    Quadrant,
    Reach,
    Roles,
    Toy,
    Weather,
    train,
)

from algos.core import Obs, Spec, Transition, spec_of
from algos.maddpg import IddpgConfig, Maddpg, MaddpgConfig
from algos.nets.actor import Actor, Out

SMALL = {"hidden": (32,), "warm_up": 256, "batch": 128, "updates": 1, "policy_lr": 3e-3, "critic_lr": 3e-3}
SMALL |= {"tau": 0.05, "replay_size": 20_000, "max_grad_norm": 10.0, "policy_start": 0}


@pytest.fixture(autouse=True)
def _one_thread():
    """Lets torch compute on one thread: on small tensors, threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def learn(env: Toy, updates: int, seed: int = 0, **options: Any) -> tuple[Maddpg, list[dict[str, float]]]:
    """Trains a small learner."""
    algo = Maddpg(spec_of(env), MaddpgConfig(**{**SMALL, **options}), seed=seed)
    return algo, train(env, algo, updates)


def tail(history: list[dict[str, float]], name: str) -> float:
    """Mean of the last twenty updates."""
    return float(np.nanmean([step[name] for step in history[-20:]]))


def greedy_return(algo: Maddpg, env: Toy, episodes: int = 20) -> float:
    """Mean return of an agent without noise, over so many episodes a world."""
    step, returns = env.reset(1), []
    started = np.ones(env.n_worlds, bool)
    while len(returns) < episodes * env.n_worlds:
        obs = Obs(step.obs, step.state, step.adjacency, step.alive, step.action_mask, started)
        final, step = env.step(algo.act(obs, greedy=True))
        started = final.truncated | ~final.alive.any(1)
        returns += list(final.metrics["return"][started] / env.n_agents)
    return float(np.mean(returns))


@pytest.mark.parametrize(
    ("env", "updates", "options", "least"),
    [
        (Match(), 300, {}, 0.95),
        (Match(), 300, {"twin": True, "agent_id": True}, 0.95),
        (Match(), 300, {"critic": "local", "value_norm": False, "prioritised": 0.6}, 0.95),
        (Match(), 300, {"credit": "team", "share": "none"}, 0.95),
        (Match(masked=True), 300, {"temperature": 2.0, "temperature_end": 0.5}, 0.95),
        (Reach(), 300, {}, 0.9),
        (Reach(), 300, {"twin": True, "noise": "ou"}, 0.9),
        (Reach(), 300, {"share": "none", "critic": "local"}, 0.9),
        (Roles(), 300, {"share": "none"}, 0.95),
        (Roles(groups=((0, 2, 3), (1,))), 300, {"share": "group"}, 0.95),
        (Quadrant(), 300, {"replay_size": 4000}, 0.9),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, Toy) else "-".join(map(str, x)) if isinstance(x, dict) else "",
)
def test_learns_what_can_be_known(env, updates, options, least):
    algo, _ = learn(env, updates, **options)
    assert greedy_return(algo, env) > least


@pytest.mark.parametrize("credit", ["individual", "team"])
def test_a_constant_in_every_reward_changes_nothing(credit):
    """Values start at the constant that fits best; critics that must first climb to it learn no slopes meanwhile."""

    def played(offset: float) -> float:
        env = Offset(offset)
        algo, _ = learn(env, 300, credit=credit, gamma=0.9)
        return greedy_return(algo, env) - 10 * offset

    without = played(0.0)
    assert without > 7
    for offset in (100.0, 1e4):
        assert played(offset) == pytest.approx(without, abs=0.5)


def test_what_cannot_be_known_is_not_learned():
    """So the toys above need the ability that they claim to need."""
    algo, _ = learn(Roles(), 100)
    assert greedy_return(algo, Roles()) < 0.45


@pytest.mark.parametrize("options", [{}, {"credit": "team"}, {"twin": True}], ids=str)
def test_two_find_the_joint_action_that_pays(options):
    algo, _ = learn(Payoff(), 300, share="none", **options)
    assert greedy_return(algo, Payoff()) == 6.0


@pytest.mark.parametrize("options", [{}, {"credit": "team", "share": "none"}, {"twin": True}], ids=str)
def test_two_carry_a_load_as_is_best(options):
    """Against a_i = 0.4 x, which is paid -0.2 / 3 on average."""
    env = Carry(64)
    algo, _ = learn(env, 500, head_penalty=0.0, head_penalty_end=0.0, **options)
    assert greedy_return(algo, env) == pytest.approx(-0.2 / 3, abs=0.015)
    x = np.linspace(-0.9, 0.9, 64, dtype=np.float32)
    seen, nothing = np.repeat(x[:, None, None], 2, 1), np.zeros((64, 0))
    obs = Obs(seen, nothing, nothing, np.ones((64, 2), bool), None, x > 2)
    np.testing.assert_allclose(algo.act(obs, greedy=True).sum(1)[:, 0], 0.8 * x, atol=0.12)


@pytest.mark.parametrize(
    "options", [{}, {"credit": "team"}, {"critic": "local"}, {"n_step": 3}, {"value_norm": False}], ids=str
)
def test_a_time_limit_is_bootstrapped(options):
    """1 a step for ever is worth 5; cut at the limit of 5 steps it would be worth 2.7 on average."""
    _, history = learn(Endless(), 400, gamma=0.8, **options)
    assert tail(history, "value_mean") == pytest.approx(5.0, abs=0.25)


@pytest.mark.parametrize(
    ("n_agents", "options"),
    [(2, {}), (2, {"critic": "local", "n_step": 2}), (5, {"n_step": 3}), (5, {"credit": "team"})],
    ids=str,
)
def test_a_time_limit_of_one_agent_is_bootstrapped(n_agents, options):
    """1 / (1 - 0.8). With two agents the world ends when the second has left, with five at its own limit."""
    _, history = learn(Departing(n_agents=n_agents), 300, gamma=0.8, **options)
    assert tail(history, "value_mean") == pytest.approx(5.0, abs=0.25)
    assert all(np.isfinite(list(step.values())[:-1]).all() for step in history)


def test_death_cuts_the_value():
    """See the toy: bootstrapping after death makes leaving look better than staying."""
    algo, _ = learn(Leaving(), 500, gamma=0.9, max_grad_norm=10.0)
    assert greedy_return(algo, Leaving()) == pytest.approx(2.0)


def test_a_team_outlives_its_dead():
    algo, _ = learn(Martyr(), 500, gamma=0.9, credit="team")
    assert greedy_return(algo, Martyr()) == pytest.approx(0.3)  # agent 1 alone collects 0.1 six times
    algo, _ = learn(Martyr(), 300, gamma=0.9)
    assert greedy_return(algo, Martyr()) == pytest.approx(0.6)  # both do


# --- targets by hand -------------------------------------------------------------------------------------------------

GONE = np.nan
TARGETS = {
    # One world, gamma = 0.5, Q_i = o_i + 100 sum_j o_j + 1000 (how many act), rewards 1 and 2. Observations (1, 2) lead
    # to (3, 4), then (5, 6), where agent 0 leaves, dies or does not; then agent 1 alone, 7, leads to 8, the newest.
    # To agent 0, which leaves, the world is worth 5 + 1100 + 2000, to agent 1, which stays, 6 + 600 + 1000.
    ("leaves", "individual", 1): [[1 + 2703 / 2, 2 + 2704 / 2], [1 + 3105 / 2, 2 + 1606 / 2], [GONE, 2 + 1808 / 2]],
    ("leaves", "individual", 2): [[1.5 + 3105 / 4, 3 + 1606 / 4], [1 + 3105 / 2, 2 + 1606 / 2], [GONE, 2 + 1808 / 2]],
    # The dead have no value; the sums of the agents that live go on past their deaths.
    ("dies", "individual", 1): [[1 + 2703 / 2, 2 + 2704 / 2], [1, 2 + 1606 / 2], [GONE, 2 + 1808 / 2]],
    ("dies", "individual", 2): [[1.5, 3 + 1606 / 4], [1, 3 + 1808 / 4], [GONE, 2 + 1808 / 2]],
    # The time limit: both bootstrap from (5, 6), never from 7, where another episode begins.
    ("time", "individual", 1): [[1 + 2703 / 2, 2 + 2704 / 2], [1 + 3105 / 2, 2 + 3106 / 2], [GONE, 2 + 1808 / 2]],
    ("time", "individual", 2): [[1.5 + 3105 / 4, 3 + 3106 / 4], [1 + 3105 / 2, 2 + 3106 / 2], [GONE, 2 + 1808 / 2]],
    # A team is paid 3 and goes on without the agent that left.
    ("leaves", "team", 1): [[3 + 2700 / 2], [3 + 1600 / 2], [3 + 1800 / 2]],
    ("leaves", "team", 2): [[4.5 + 1600 / 4], [3 + 1600 / 2], [3 + 1800 / 2]],
    ("dies", "team", 2): [[4.5 + 1600 / 4], [4.5 + 1800 / 4], [3 + 1800 / 2]],
    ("time", "team", 2): [[4.5 + 3100 / 4], [3 + 3100 / 2], [3 + 1800 / 2]],
}


@pytest.mark.parametrize("twin", [False, True])
@pytest.mark.parametrize(("fate", "credit", "n_steps"), TARGETS)
def test_targets_by_hand(fate, credit, n_steps, twin, monkeypatch):
    options = {"n_step": n_steps, "credit": credit, "twin": twin, "replay_size": 3, "warm_up": 3}
    config = MaddpgConfig(gamma=0.5, value_norm=False, **options)
    algo = Maddpg(Spec(2, 1, 0, Discrete(2), ((0, 1),)), config, seed=0)

    def values(obs, state, action, own=None):
        value = 100 * obs.sum((1, 2)) + 1000 * action.sum((1, 2))
        return value.unsqueeze(-1) + (0 if credit == "team" else obs.squeeze(-1))

    for k, target in enumerate(algo.target_critics.network):
        monkeypatch.setattr(target, "forward", lambda *x, k=k: values(*x) + 10 * k)  # the lower counts

    def obs(numbers, lives):
        adjacency, state = np.ones((1, 2, 2), bool), np.zeros((1, 0), np.float32)
        seen = np.array(numbers, np.float32)[None, :, None]
        return Obs(seen, state, adjacency, np.array([lives]), None, np.array([False]))

    no, both, alone = np.zeros(1, bool), [True, True], [False, True]
    after = both if fate == "time" else alone
    for t, (now, then) in enumerate(
        [
            (obs([1, 2], both), obs([3, 4], both)),
            (obs([3, 4], both), obs([GONE if fate == "dies" else 5, 6], after)),
            (obs([GONE, 7], alone), obs([GONE, 8], alone)),
        ]
    ):
        pays = np.where(now.alive, [1.0, 2.0], GONE).astype(np.float32)
        dies = np.array([[fate == "dies" and t == 1, False]])
        limit = np.array([fate == "time" and t == 1])
        team = np.array([3.0], np.float32)
        algo.observe(Transition(now, algo.act(now), pays, team, None, pays, dies, limit, then, limit | no))
    assert algo.replay is not None
    found = algo._targets(algo.replay.sample(torch.arange(3), n_steps)).numpy()
    want = np.array(TARGETS[fate, credit, n_steps])
    np.testing.assert_allclose(found[~np.isnan(want)], want[~np.isnan(want)], rtol=1e-6)


def test_the_policy_climbs_the_slope_of_its_own_action_alone(monkeypatch):
    """Q_0 = 3 a_0 - 7 a_1, Q_1 = 3 a_1 - 7 a_0, tanh' = 1; two agents that share nothing have a mean each."""
    spec = Spec(2, 1, 0, Box(-1.0, 1.0, (1,), np.float32), ())
    config = MaddpgConfig(head_penalty=2.0, head_penalty_end=0.0, share="none", hidden=(4,))
    algo = Maddpg(spec, config, seed=0)
    algo.progress = 1.0
    head = torch.zeros(1, 2, 1, requires_grad=True)
    monkeypatch.setattr(algo.policy, "forward", lambda obs, **_: Out(head, None, None))
    monkeypatch.setattr(
        algo.critics[0], "forward", lambda obs, state, joint, own: (3 * own - 7 * joint.flip(1))[..., 0]
    )
    monkeypatch.setattr(algo.policy_adam, "step", lambda loss: (loss.backward(), loss.detach())[1])
    batch = {"obs": torch.zeros(1, 2, 1), "alive": torch.ones(1, 2, dtype=torch.bool)}
    algo._policy_step(batch, torch.ones(1, 2, 1))
    assert head.grad is not None
    assert head.grad.flatten().tolist() == [-3.0, -3.0]
    head.grad = None
    batch["alive"][0, 0] = False
    algo._policy_step(batch, torch.ones(1, 2, 1))
    assert head.grad is not None
    assert head.grad.flatten().tolist() == [0.0, -3.0]
    algo.progress, head.grad = 0.25, None
    with torch.no_grad():
        head.fill_(0.5)
    algo._policy_step(batch, torch.ones(1, 2, 1))
    assert head.grad is not None  # 1.5 h^2 for the one there is, and tanh' = 1 - tanh^2
    assert head.grad.flatten().tolist() == pytest.approx([0.0, 1.5 - 3.0 * (1.0 - math.tanh(0.5) ** 2)])


def test_target_actions_are_smoothed_within_bounds(monkeypatch):
    """Fujimoto et al. 2018, equation 14: clipped noise on the target policy's action, the sum within the Box."""
    spec = Spec(2, 1, 0, Box(-1.0, 1.0, (1,), np.float32), ())
    algo = Maddpg(spec, MaddpgConfig(twin=True, target_noise=0.2, target_noise_clip=0.3, hidden=(4,)), seed=0)
    head = torch.atanh(torch.tensor([0.1, 0.9])).view(1, 2, 1).expand(20_000, 2, 1)
    monkeypatch.setattr(algo.target_policy.network, "forward", lambda obs, **_: Out(head, None, None))
    batch = {"next_obs": head, "next_present": torch.ones(20_000, 2, dtype=torch.bool)}
    action = algo._target_actions(batch)[..., 0]
    low, high = action.aminmax(dim=0)
    np.testing.assert_allclose(low, [-0.2, 0.6], atol=1e-5)
    np.testing.assert_allclose(high, [0.4, 1.0], atol=1e-5)
    clipped = 0.1 + np.clip(0.2 * np.random.default_rng(0).standard_normal(10**6), -0.3, 0.3)
    assert action[:, 0].std() == pytest.approx(clipped.std(), rel=0.03)
    plain = Maddpg(spec, MaddpgConfig(hidden=(4,)), seed=0)
    monkeypatch.setattr(plain.target_policy.network, "forward", lambda obs, **_: Out(head, None, None))
    assert torch.equal(plain._target_actions(batch), torch.tanh(head))


def test_what_is_drawn_more_often_counts_less(monkeypatch):
    """The gradient of 1/2 w (Q - y)^2 for two transitions of weights 1 and 1/4, over their number."""
    spec = Spec(1, 1, 0, Box(-1.0, 1.0, (1,), np.float32), ())
    algo = Maddpg(spec, MaddpgConfig(value_norm=False, hidden=(4,)), seed=0)
    value = torch.zeros(2, 1, requires_grad=True)
    monkeypatch.setattr(algo.critics[0], "forward", lambda obs, state, joint: value)
    monkeypatch.setattr(algo, "_targets", lambda batch: torch.tensor([[1.0], [2.0]]))
    monkeypatch.setattr(algo.critic_adam, "step", lambda loss: (loss.backward(), loss.detach())[1])
    batch = {"obs": torch.zeros(2, 1, 1), "alive": torch.ones(2, 1, dtype=torch.bool)}
    _, td_error = algo._critic_step(batch, torch.zeros(2, 1, 1), torch.tensor([1.0, 0.25]))
    assert value.grad is not None
    assert value.grad.flatten().tolist() == [-0.5, -0.25]
    assert td_error.tolist() == [1.0, 2.0]


# --- acting ----------------------------------------------------------------------------------------------------------


def test_the_first_actions_are_random_and_allowed():
    """This holds however decided the policy is."""
    for spec in SPECS[:2]:
        algo, stream = Maddpg(spec, MaddpgConfig(warm_up=10_000, hidden=(4,)), seed=0), Stream(spec, n_worlds=500)
        for parameter in algo.policy.parameters():
            parameter.data += 5.0
        action, now = algo.act(stream.now), stream.now
        if isinstance(spec.action_space, Discrete):
            assert now.action_mask is not None
            allowed = np.take_along_axis(now.action_mask, action[..., None], -1)[..., 0]
            assert allowed[now.alive].all()
            free = now.action_mask.all(-1)
            assert np.bincount(action[free]) / free.sum() == pytest.approx([1 / 3] * 3, abs=0.08)
        else:
            assert action.mean() == pytest.approx(0.5, abs=0.1)
            assert action.std() == pytest.approx(3 / math.sqrt(12), rel=0.1)


def test_noise_follows_its_schedule_and_greedy_play_has_none():
    spec = SPECS[1]  # Box from -1 to 2: half of it is 1.5
    options = {"noise_std": 0.4, "noise_std_end": 0.1, "warm_up": 0, "hidden": (4,)}
    algo, stream = Maddpg(spec, MaddpgConfig(**options), seed=0), Stream(spec, n_worlds=2000)
    plain = algo.act(stream.now, greedy=True)
    for progress, std in ((0.0, 0.4), (0.5, 0.25), (1.0, 0.1)):
        algo.progress = progress
        noise = (algo.act(stream.now) - plain) / 1.5
        assert noise.std() == pytest.approx(std, rel=0.05)
    assert np.array_equal(algo.act(stream.now, greedy=True), plain)


def test_correlated_noise_begins_anew_with_an_episode():
    spec, options = SPECS[1], {"noise": "ou", "ou_theta": 0.01, "noise_std": 0.5}
    algo = Maddpg(spec, MaddpgConfig(**options, warm_up=0, hidden=(4,)), seed=0)
    obs = Stream(spec, n_worlds=400).now
    going = obs._replace(started=np.arange(400) < 200)
    for _ in range(200):
        algo.act(going)
    assert algo._noise is not None
    assert algo._noise[200:].std() == pytest.approx(0.5, rel=0.2)
    assert algo._noise[:200].std() == pytest.approx(0.5 * (1 - 0.99**2) ** 0.5, rel=0.1)  # of one step


def test_a_critic_of_states_sees_the_state():
    _, told = learn(Weather(), 150, critic="state")
    _, blind = learn(Weather(), 150)
    assert tail(told, "value_loss") < 0.05
    assert tail(blind, "value_loss") > 0.3


def test_a_critic_of_states_needs_one():
    with pytest.raises(ValueError, match="this environment has none"):
        Maddpg(SPECS[1], MaddpgConfig(critic="state"), seed=0)


# --- promises --------------------------------------------------------------------------------------------------------


def tiny(spec: Spec, seed: int = 3, **options: Any) -> Maddpg:
    """A learner that begins to update after 4 steps of 5 worlds, in a replay of 12."""
    small = {"warm_up": 20, "replay_size": 60, "batch": 16, "updates": 2, "hidden": (8,), "policy_start": 0}
    return Maddpg(spec, MaddpgConfig(**{**small, **options}), seed=seed)


@pytest.mark.parametrize("credit", ["individual", "team"])
def test_the_dead_are_not_counted(credit):
    """A third agent that is never alive leaves every mean as it was: no mean is divided by the dead."""
    options = {"critic": "local", "credit": credit, "updates": 1}
    two, three = (tiny(Spec(n, 4, 0, Box(-1.0, 2.0, (2,), np.float32), ()), **options) for n in (2, 3))
    stream = Stream(two.spec)

    def wider(array):
        return np.concatenate([array, np.zeros_like(array[:, :1])], 1)

    def wider_obs(obs):
        return obs._replace(obs=wider(obs.obs), alive=wider(obs.alive))

    stats: dict[str, float] = {}
    others: dict[str, float] = {}
    while not stats:
        action = two.act(stream.now)
        three.act(wider_obs(stream.now))
        assert two._pending is not None
        three._pending = torch.from_numpy(wider(two._pending.numpy()))
        step = stream.step(action)
        wide = {name: wider(getattr(step, name)) for name in ("action", "reward", "terminated")}
        two.observe(step)
        three.observe(step._replace(obs=wider_obs(step.obs), final=wider_obs(step.final), **wide))
        stats, others = two.update(), three.update()
    assert others == pytest.approx(stats, rel=1e-3, abs=1e-5)
    for name, value in two.value_norm.state_dict().items():
        torch.testing.assert_close(three.value_norm.state_dict()[name], value)


def test_opposed_groups_share_nothing():
    """Rewards of group 1 change no parameter of group 0's policy or critic, when critics are local."""
    learned = []
    for scale in (1.0, -5.0):
        spec = SPECS[1]
        algo, stream = tiny(spec, share="group", critic="local", value_norm=False, max_grad_norm=1e9), Stream(spec)
        for _ in range(12):
            step = stream.step(algo.act(stream.now))
            step.reward[:, 1] *= scale
            algo.observe(step)
            if not algo.steps < 60:
                algo.update()
        learned.append([p.detach() for network in (algo.policy, algo.critics) for p in network.parameters()])
    moved = [[not torch.equal(one[k], two[k]) for one, two in zip(*learned, strict=True)] for k in (0, 1)]
    assert not any(moved[0])
    assert any(moved[1])


def test_the_policy_is_slower_than_the_critics_with_twin():
    spec = SPECS[1]
    algo, stream = tiny(spec, twin=True, updates=1), Stream(spec)
    drive(algo, stream, 3)
    seen = []
    for _ in range(6):
        before = [copy.clone() for copy in (algo.policy_adam.vector, algo.critic_adam.vector)]
        target = algo.target_critics.network.state_dict()["0.trunk.head.bias"].clone()
        stats = drive(algo, stream, 1)[1]
        after = (algo.policy_adam.vector, algo.critic_adam.vector)
        moved = [not torch.equal(x, y) for x, y in zip(before, after, strict=True)]
        moved.append(not torch.equal(target, algo.target_critics.network.state_dict()["0.trunk.head.bias"]))
        seen.append((*moved, "slope" in stats))
    assert seen == [(False, True, False, False), (True, True, True, True)] * 3


@pytest.mark.parametrize("options", [{}, {"twin": True}], ids=str)
def test_critics_and_targets_learn_before_the_policies(options):
    """Adam makes full steps of slopes however small, so policies would run after critics that know nothing."""
    spec = SPECS[1]
    algo, stream = tiny(spec, updates=1, policy_start=4, **options), Stream(spec)
    drive(algo, stream, 3)
    moved = []
    for _ in range(6):
        networks = (algo.policy_adam.vector, algo.critic_adam.vector)
        before = [vector.clone() for vector in networks]
        target = algo.target_critics.network.state_dict()["0.trunk.head.bias"].clone()
        drive(algo, stream, 1)
        policy, critic = (not torch.equal(x, y) for x, y in zip(before, networks, strict=True))
        moved.append(
            (policy, critic, not torch.equal(target, algo.target_critics.network.state_dict()["0.trunk.head.bias"]))
        )
    late = bool(options)  # targets and policies move in every second step
    assert [critic for _, critic, _ in moved] == [True] * 6
    assert [policy for policy, _, _ in moved] == [False] * 4 + [not late, True]
    assert [target for _, _, target in moved] == [not late, True] * 3


def test_updates_come_when_they_are_due():
    algo, stream = tiny(SPECS[0], update_every=3), Stream(SPECS[0])
    learned = [bool(drive(algo, stream, 1)[1]) for _ in range(12)]
    assert [t for t, done in enumerate(learned) if done] == [3, 6, 9]  # 20 steps of 5 worlds are there at 3
    assert algo.gradient_steps == 6


def test_greedy_play_disturbs_nothing():
    spec = SPECS[0]
    quiet, busy = tiny(spec), tiny(spec)
    one, two, aside = Stream(spec), Stream(spec), Stream(spec, n_worlds=2, seed=7)
    for _ in range(3):
        drive(quiet, one, 5)
        drive(busy, two, 5)
        busy.act(aside.now, greedy=True)
    assert same(quiet.state_dict(), busy.state_dict())


@pytest.mark.parametrize("spec", SPECS[:2], ids=["discrete", "box"])
def test_the_policy_can_be_rebuilt_alone(spec):
    algo = tiny(spec, share="none", agent_id=True)
    drive(algo, Stream(spec), 12)
    actor = Actor(spec, algo.config, bounded=True)
    actor.load_state_dict(algo.state_dict()["policy"])
    obs = Stream(spec).now
    mask = None if obs.action_mask is None else torch.from_numpy(obs.action_mask)
    with torch.inference_mode():
        action, _ = actor.sample(actor(torch.from_numpy(obs.obs))[0], mask)
    np.testing.assert_array_equal(actor.to_space(action).numpy(), algo.act(obs, greedy=True))


def test_observe_needs_an_act():
    algo, stream = tiny(SPECS[0]), Stream(SPECS[0])
    with pytest.raises(ValueError, match="before act"):
        algo.observe(stream.step(np.zeros((5, 3), np.int64)))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("gamma", 1.5),
        ("tau", 0.0),
        ("policy_lr", float("nan")),
        ("updates", 0),
        ("n_step", 0),
        ("hidden", ()),
        ("warm_up", 300_000),
        ("noise_std", -0.1),
        ("temperature", 0.0),
        ("prioritised", 2.0),
        ("noise", "white"),
        ("critic", "centralised"),
        ("replay_on", "disk"),
    ],
)
def test_bad_options_are_refused_by_name(option, value):
    with pytest.raises(ValueError, match=f"^{option} is "):
        MaddpgConfig(**{option: value})


def test_iddpg_differs_in_its_critic_alone():
    maddpg, iddpg = dataclasses.asdict(MaddpgConfig()), dataclasses.asdict(IddpgConfig())
    assert {name for name in maddpg if maddpg[name] != iddpg[name]} == {"critic"}
    assert iddpg["critic"] == "local"


def test_memory_stays_flat():
    """Python's memory and what tensors there are after many updates, against after some."""
    env, sizes, tensors = Match(4), [], []
    algo = Maddpg(spec_of(env), MaddpgConfig(hidden=(4,), warm_up=8, replay_size=100, batch=8, updates=1), seed=0)
    train(env, algo, 50)
    tracemalloc.start()
    try:
        for updates in (50, 200, 200):
            train(env, algo, updates)
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
            tensors.append(sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects()))
    finally:
        tracemalloc.stop()
    assert min(np.diff(sizes)) < 20_000  # what leaks grows every time, what is made once does not
    assert tensors[2] <= tensors[1]
