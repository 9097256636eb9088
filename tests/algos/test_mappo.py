"""MAPPO and IPPO on worlds with known best returns, and their promises: same seed same bytes, resume bit for bit."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from streams import SPECS, Stream, drive, same
from toys import Departing, Endless, Leaving, Martyr, Match, Offset, Quadrant, Reach, Recall, Roles, Toy, Weather, train

from algos.core import Obs, Spec, Transition, spec_of
from algos.mappo import IppoConfig, Mappo, MappoConfig
from algos.maths.returns import gae
from algos.nets.actor import Actor
from algos.nets.recurrent import Recurrence

SMALL = {"rollout_steps": 16, "lr": 3e-3, "minibatches": 2, "hidden": (32,)}


@pytest.fixture(autouse=True)
def _one_thread():
    """Lets torch compute on one thread: on small tensors, threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def learn(env: Toy, updates: int, seed: int = 0, **options: Any) -> tuple[Mappo, list[dict[str, float]]]:
    """Trains a small learner."""
    algo = Mappo(spec_of(env), MappoConfig(**{**SMALL, **options}), seed=seed)
    return algo, train(env, algo, updates)


def tail(history: list[dict[str, float]], name: str = "return") -> float:
    """Mean of the last five updates."""
    return float(np.mean([step[name] for step in history[-5:]]))


@pytest.mark.parametrize(
    ("env", "updates", "options", "least"),
    [
        (Match(), 30, {}, 0.95),
        (Match(), 30, {"critic": "local", "value_norm": False, "value_loss": "mse", "activation": "relu"}, 0.95),
        (Match(), 30, {"credit": "team", "share": "none"}, 0.95),
        (Match(), 30, {"critic": "joint"}, 0.95),
        (Match(masked=True), 30, {}, 0.95),
        (Reach(), 60, {"ent_coef": 0.0}, 0.7),
        (Reach(), 60, {"ent_coef": 0.0, "share": "none", "critic": "local"}, 0.6),
        (Roles(), 30, {"share": "none"}, 0.95),
        (Roles(), 30, {"agent_id": True}, 0.95),
        (Roles(groups=((0, 2, 3), (1,))), 30, {"share": "group"}, 0.95),
        (Recall(), 30, {"gru": 16}, 0.95),
        (Quadrant(), 20, {}, 0.95),
        (Quadrant(), 20, {"share": "none", "critic": "local"}, 0.95),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, Toy) else "-".join(map(str, x)) if isinstance(x, dict) else "",
)
def test_learns_what_can_be_known(env, updates, options, least):
    assert tail(learn(env, updates, **options)[1]) > least


def test_what_cannot_be_known_is_not_learned():
    """So the toys above need the ability that they claim to need."""
    assert tail(learn(Roles(), 30)[1]) < 0.45
    assert tail(learn(Recall(), 30)[1]) < 0.7


@pytest.mark.parametrize("options", [{}, {"credit": "team"}, {"critic": "local"}, {"gru": 8}, {"value_norm": False}])
def test_a_time_limit_is_bootstrapped(options):
    """1 a step for ever is worth 10; cut at the limit of 5 steps it would be worth 2.7 on average."""
    _, history = learn(Endless(), 40, gamma=0.9, **options)
    assert tail(history, "value_mean") == pytest.approx(10.0, abs=0.7)


@pytest.mark.parametrize(
    ("n_agents", "options"),
    [
        (2, {}),
        (2, {"critic": "local"}),
        (2, {"gru": 8}),
        (2, {"gru": 8, "credit": "team"}),
        (5, {}),
        (5, {"credit": "team"}),
        (5, {"critic": "local", "credit": "team", "share": "none"}),
    ],
    ids=str,
)
def test_a_time_limit_of_one_agent_is_bootstrapped(n_agents, options):
    """1 / (1 - 0.8). With two agents the world ends when the second has left, with five at its own limit.

    Taken for deaths, departures make it less than 2.7, except for V(s) of a team of five, which lasts until the limit.
    """
    _, history = learn(Departing(n_agents=n_agents), 30, gamma=0.8, **options)
    assert tail(history, "value_mean") == pytest.approx(5.0, abs=0.25)
    assert all(np.isfinite(list(step.values())).all() for step in history)


def linear(algo: Mappo, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Replaces the critic by V_i = o_i + 100 sum_j o_j (the sum alone for a team); returns where advantages appear."""
    seen: dict[str, torch.Tensor] = {}

    def values(obs, state, recurrence=None, *, state_of=None):
        assert state_of is None  # it reads all observations
        joint = 100 * obs[..., 0].sum(-1, keepdim=True)
        value = joint if algo.critic.kind == "team" else obs[..., 0] + joint
        value = value + 0 * next(algo.critic.parameters()).sum()  # something to learn
        states = None if recurrence is None else torch.zeros(*value.shape, algo.config.gru)
        return value, states

    def spied(*args, **kwargs):
        seen["advantage"] = gae(*args, **kwargs)
        return seen["advantage"]

    monkeypatch.setattr(algo.critic, "forward", values)
    monkeypatch.setattr("algos.mappo.gae", spied)
    return seen


NOBODY = np.nan  # of an absent agent
ADVANTAGES = {
    # Agent 0 leaves in step 1, seeing 5 beside agent 1 seeing 6: it is bootstrapped from 5 + 1100, and cut there.
    # Agent 1 goes on alone: its next values are 7 + 700 and, beyond the rollout, 8 + 800.
    # delta_0 = 1 + 0.5 (3 + 700) - (1 + 300), 1 + 0.5 (5 + 1100) - (3 + 700)
    # delta_1 = 2 + 0.5 (4 + 700) - (2 + 300), 2 + 0.5 (7 + 700) - (4 + 700), 2 + 0.5 (8 + 800) - (7 + 700)
    ("individual", 3): [
        [51.5 + 0.25 * -149.5, 52 + 0.25 * (-348.5 + 0.25 * -301)],
        [-149.5, -348.5 + 0.25 * -301],
        [NOBODY, -301],
    ],
    # The rollout is over as agent 0 leaves. Agent 1 is bootstrapped from a world without it, 6 + 600.
    # delta_1 = ..., 2 + 0.5 (6 + 600) - (4 + 700)
    ("individual", 2): [[51.5 + 0.25 * -149.5, 52 + 0.25 * -399], [-149.5, -399]],
    # The team goes on without agent 0: it is worth 700 after its departure, not 1100; in the shorter rollout 600.
    # delta = 3 + 0.5 700 - 300, 3 + 0.5 700 - 700, 3 + 0.5 800 - 700
    ("team", 3): [[53 + 0.25 * (-347 + 0.25 * -297)], [-347 + 0.25 * -297], [-297]],
    ("team", 2): [[53 + 0.25 * -397], [-397]],
}


@pytest.mark.parametrize("gru", [0, 4])
@pytest.mark.parametrize(("credit", "steps"), ADVANTAGES)
def test_advantages_of_agents_that_leave_and_stay(credit, steps, gru, monkeypatch):
    """One world, gamma = lambda = 0.5, a critic that adds: numbers by hand."""
    options = {"credit": credit, "gru": gru, "rollout_steps": steps, "minibatches": 1, "value_norm": False}
    algo = Mappo(Spec(2, 1, 0, Discrete(2), ((0, 1),)), MappoConfig(gamma=0.5, gae_lambda=0.5, **options), seed=0)
    seen = linear(algo, monkeypatch)
    alive = np.array([[True, True], [True, True], [False, True], [False, True]])  # before each step, after the last
    acted_on = np.array([[1, 2], [3, 4], [np.nan, 7]], np.float32)
    led_to = np.array([[3, 4], [5, 6], [np.nan, 8]], np.float32)

    def obs(numbers, lives, started=False):
        adjacency, state = np.ones((1, 2, 2), bool), np.zeros((1, 0), np.float32)
        return Obs(numbers[None, :, None], state, adjacency, lives[None], None, np.array([started]))

    no, nobody = np.zeros(1, bool), np.zeros((1, 2), bool)
    for t in range(steps):
        now, then = obs(acted_on[t], alive[t], t == 0), obs(led_to[t], alive[t + 1])
        reward_of = np.where(alive[t], [1.0, 2.0], np.nan)[None].astype(np.float32)
        team = np.array([3.0], np.float32)
        algo.observe(Transition(now, algo.act(now), reward_of, team, None, reward_of, nobody, no, then, no))
    assert all(np.isfinite(x) for x in algo.update().values())
    want = np.array(ADVANTAGES[credit, steps])  # (T, V)
    got = seen["advantage"][:, 0].numpy()
    np.testing.assert_allclose(got[~np.isnan(want)], want[~np.isnan(want)], rtol=1e-6)


def test_a_team_whose_last_agents_die_at_the_time_limit_lives_on_in_those_just_born(monkeypatch):
    """Agent 0 dies as the limit is reached and agent 1 is born: r + gamma V(final) with V = 100 (the newborn's 8)."""
    config = MappoConfig(gamma=0.5, gae_lambda=0.5, credit="team", rollout_steps=1, minibatches=1, value_norm=False)
    algo = Mappo(Spec(2, 1, 0, Discrete(2), ((0, 1),)), config, seed=0)
    seen = linear(algo, monkeypatch)
    adjacency, state, yes = np.ones((1, 2, 2), bool), np.zeros((1, 0), np.float32), np.ones(1, bool)
    now = Obs(np.array([[[1.0], [0.0]]], np.float32), state, adjacency, np.array([[True, False]]), None, yes)
    then = Obs(np.array([[[0.0], [8.0]]], np.float32), state, adjacency, np.array([[False, True]]), None, ~yes)
    reward, team, dies = np.ones((1, 2), np.float32), np.array([3.0], np.float32), np.array([[True, False]])
    algo.observe(Transition(now, algo.act(now), reward, team, None, reward, dies, yes, then, yes))
    algo.update()
    assert seen["advantage"].item() == pytest.approx(3 + 0.5 * 800 - 100)


@pytest.mark.parametrize("offset", [0.0, 100.0, 1e4, -1e4])
@pytest.mark.parametrize("credit", ["individual", "team"])
def test_a_constant_in_every_reward_changes_nothing(offset, credit):
    """Values start at the constant that fits best, so the first advantages already lack the offset."""
    _, history = learn(Offset(offset), 40, credit=credit)
    assert tail(history) - 10 * offset > 9.5


def test_death_cuts_the_value():
    """See the toy: bootstrapping after death makes leaving look better than staying."""
    _, history = learn(Leaving(), 40, gamma=0.9)
    assert tail(history) > 1.95
    assert tail(history, "value_mean") == pytest.approx(2.0, abs=0.1)


def test_a_team_outlives_its_dead():
    _, history = learn(Martyr(), 40, gamma=0.9, credit="team")
    assert tail(history) == pytest.approx(0.3, abs=0.03)  # agent 1 alone collects 0.1 six times
    assert tail(history, "explained_variance") > 0.9
    _, history = learn(Martyr(), 40, gamma=0.9)
    assert tail(history) > 0.55  # both do


def test_the_central_critic_sees_the_state():
    _, central = learn(Weather(), 25)
    _, local = learn(Weather(), 25, critic="local")
    assert tail(central, "explained_variance") > 0.9
    assert tail(local, "explained_variance") < 0.2


EVERY_KIND = [
    {},
    {"credit": "team"},
    {"critic": "local", "share": "none"},
    {"gru": 4},
    {"gru": 4, "credit": "team", "share": "group"},
    {"gru": 4, "critic": "local", "agent_id": True, "minibatches": 3, "epochs": 2},
    {"anneal": True, "target_kl": 1e-9, "value_norm": False},
]


def tiny(spec: Spec, seed: int = 3, **options: Any) -> Mappo:
    """A learner that updates every 6 steps."""
    return Mappo(spec, MappoConfig(**{"rollout_steps": 6, "hidden": (8,), "minibatches": 2, **options}), seed=seed)


@pytest.mark.parametrize("spec", SPECS, ids=["discrete", "box", "image"])
@pytest.mark.parametrize("options", EVERY_KIND, ids=str)
class TestSequences:
    def test_training_repeats_what_acting_did(self, spec, options):
        """The first gradient step has ratios of 1: the sequences are rebuilt as they were acted."""
        algo, stream = tiny(spec, **{**options, "rollout_steps": 12, "target_kl": None}), Stream(spec)
        drive(algo, stream, 24)  # the second rollout begins amid episodes
        for _ in range(11):
            algo.observe(stream.step(algo.act(stream.now)))
        algo.observe(stream.step(algo.act(stream.now)))
        assert algo.rollout is not None
        data, _ = algo.rollout.to("cpu")
        assert (data["started"][1:].any(), (~data["alive"]).any()) == (True, True)
        recurrence = None
        if algo._first_memory:
            hidden = algo._first_memory["hidden"]
            recurrence = Recurrence(hidden, data["started"], data["alive"])
            assert hidden.abs().sum() > 0
        head = algo.policy(data["obs"], recurrence).head
        log_prob, _ = algo.policy.log_prob(head, data["action"], data.get("action_mask"))
        torch.testing.assert_close(log_prob[data["alive"]], data["log_prob"][data["alive"]], atol=1e-5, rtol=0)


@pytest.mark.parametrize("spec", SPECS, ids=["discrete", "box", "image"])
@pytest.mark.parametrize("options", [{}, {"critic": "local"}, {"minibatches": 30}], ids=str)
def test_the_dead_are_left_out_and_not_multiplied_by_zero(spec, options, monkeypatch):
    """A product with zero would give the same, but for rounding; in some of thirty minibatches no agent is alive."""

    def learned(leave_out: bool) -> list[torch.Tensor]:
        algo, seen = tiny(spec, share="all", **options), []
        monkeypatch.setattr(type(algo.policy.trunk), "agent_blind", leave_out)
        algo.policy.trunk.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
        drive(algo, Stream(spec), 24)
        assert any(len(shape) == 3 and shape[1] == 1 for shape in seen) == leave_out
        return [*algo.policy.parameters(), *algo.critic.parameters()]

    torch.testing.assert_close(learned(True), learned(False), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("credit", ["individual", "team"])
def test_the_dead_are_not_counted(credit):
    """A third agent that is never alive leaves every mean as it was: no mean is divided by the dead."""
    options = {"critic": "local", "credit": credit, "epochs": 2, "minibatches": 1}
    two, three = (tiny(Spec(n, 4, 0, Discrete(3), ()), **options) for n in (2, 3))
    stream = Stream(two.spec)

    def wider(array):
        return None if array is None else np.concatenate([array, np.zeros_like(array[:, :1])], 1)

    def wider_obs(obs):
        return obs._replace(obs=wider(obs.obs), alive=wider(obs.alive), action_mask=wider(obs.action_mask))

    stats: dict[str, float] = {}
    others: dict[str, float] = {}
    while not stats:
        two_acts = two.act(stream.now)
        three.act(wider_obs(stream.now))
        assert two._pending is not None
        three._pending = tuple(torch.from_numpy(wider(x.numpy())) for x in two._pending)  # type: ignore[assignment]
        step = stream.step(two_acts)
        wide = {name: wider(getattr(step, name)) for name in ("action", "reward", "terminated")}
        two.observe(step)
        three.observe(step._replace(obs=wider_obs(step.obs), final=wider_obs(step.final), **wide))
        stats, others = two.update(), three.update()
    assert others == pytest.approx(stats, rel=1e-3, abs=1e-5)
    for name, value in two.value_norm.state_dict().items():
        torch.testing.assert_close(three.value_norm.state_dict()[name], value)


@pytest.mark.parametrize("credit", ["individual", "team"])
def test_the_critic_remembers_from_rollout_to_rollout(credit):
    """Its gradient steps begin from the memory that its first pass began from."""
    spec = SPECS[0]
    algo, stream = tiny(spec, gru=4, credit=credit, epochs=1, minibatches=1), Stream(spec)
    forward, calls = algo.critic.forward, []

    def recorded(obs, state, recurrence, **options):
        values, states = forward(obs, state, recurrence, **options)
        assert states is not None
        calls.append((values.detach(), states.detach(), recurrence.hidden))
        return values, states

    algo.critic.forward = recorded  # type: ignore[method-assign]
    drive(algo, stream, 12)
    first, _, _, second, _, trained = calls  # each rollout: a pass, the observations to bootstrap from, a gradient step
    assert torch.equal(second[2], first[1][-1])
    assert second[2].abs().sum() > 0
    for before, after in zip(second, trained, strict=True):  # the worlds are shuffled
        torch.testing.assert_close(after.flatten().sort()[0], before.flatten().sort()[0])


@pytest.mark.parametrize("credit", ["individual", "team"])
def test_agents_that_are_not_alive_remember_nothing(credit):
    """Before birth, after death, after leaving: the actor's memory is zero, and so is the critic's."""
    spec, births = SPECS[0], 0
    algo, stream = tiny(spec, gru=4, credit=credit), Stream(spec)
    for step in range(60):
        absent = ~stream.alive
        drive(algo, stream, 1)  # acts on what `absent` is about
        assert algo._memory is not None
        memory = algo._memory["hidden"].numpy()
        assert (memory[absent] == 0).all()
        assert (memory[~absent] != 0).any(-1).all()
        births += (absent & stream.alive & ~stream.now.started[:, None]).sum()
        if (step + 1) % algo.config.rollout_steps == 0:
            assert algo._critic_hidden is not None
            gone = absent if credit == "individual" else absent.all(1, keepdims=True)
            assert (algo._critic_hidden.numpy()[gone] == 0).all()
    assert births > 5


@pytest.mark.parametrize("options", [{}, {"gru": 8}, {"share": "none"}], ids=str)
def test_learning_side_by_side_changes_no_byte(options):
    learned = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        algo, _ = learn(Roles(), 3, **options)
        learned.append([*algo.policy.state_dict().values(), *algo.critic.state_dict().values()])
    assert all(torch.equal(a, b) for a, b in zip(*learned, strict=True))


def test_greedy_play_disturbs_nothing():
    spec = SPECS[0]
    quiet, busy = tiny(spec, gru=4), tiny(spec, gru=4)
    one, two, aside = Stream(spec), Stream(spec), Stream(spec, n_worlds=2, seed=7)
    for _ in range(3):
        drive(quiet, one, 5)
        drive(busy, two, 5)
        first = busy.act(aside.now, greedy=True)
        aside.step(first)
    assert same(quiet.state_dict()["policy"], busy.state_dict()["policy"])


def test_the_policy_can_be_rebuilt_alone():
    spec = SPECS[0]
    algo = tiny(spec, share="none", agent_id=True)
    drive(algo, Stream(spec), 12)
    actor = Actor(spec, algo.config)
    actor.load_state_dict(algo.state_dict()["policy"])
    obs = Stream(spec).now
    head = actor(torch.from_numpy(obs.obs)).head
    action, _ = actor.sample(head, torch.from_numpy(obs.action_mask))
    np.testing.assert_array_equal(actor.to_space(action).numpy(), algo.act(obs, greedy=True))


def test_annealing_and_early_stop():
    env = Match()
    algo = Mappo(spec_of(env), MappoConfig(**{**SMALL, "anneal": True, "target_kl": 1e-9}), seed=0)
    algo.progress = 0.75
    stats = train(env, algo, 1)[0]
    assert stats["lr"] == pytest.approx(3e-3 * 0.25)
    assert stats["epochs"] == 1
    assert learn(env, 1)[1][0]["epochs"] == 4


def test_observe_needs_an_act():
    algo, stream = tiny(SPECS[0]), Stream(SPECS[0])
    with pytest.raises(ValueError, match="before act"):
        algo.observe(stream.step(np.zeros((5, 3), np.int64)))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("gamma", 1.5),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("epochs", 0),
        ("hidden", ()),
        ("gru", -1),
        ("target_kl", 0.0),
        ("critic", "centralised"),
        ("share", "some"),
        ("activation", "swish"),
    ],
)
def test_bad_options_are_refused_by_name(option, value):
    with pytest.raises(ValueError, match=f"^{option} is "):
        MappoConfig(**{option: value})


def test_ippo_differs_in_its_critic_alone():
    mappo, ippo = dataclasses.asdict(MappoConfig()), dataclasses.asdict(IppoConfig())
    assert {name for name in mappo if mappo[name] != ippo[name]} == {"critic"}
    assert ippo["critic"] == "local"
