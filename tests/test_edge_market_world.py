"""How worlds are drawn, what nodes see of them, what may be set, the bound and the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import envs
from envs.batch_checks import random_actions
from envs.edge_market import HEURISTICS, TASKS, EdgeMarket, bargain
from envs.edge_market.bound import welfare_bound
from envs.edge_market.config import Config
from envs.edge_market.env import READY_MADE
from envs.edge_market.heuristic import heuristic
from envs.edge_market.metrics import METRICS
from envs.edge_market.picture import FOOTER, HEADER, SIDE
from envs.edge_market.senses import HEAD_TASKS, OF_MODEL, OF_NODE, OF_TASK
from envs.edge_market.state import (
    ARRIVES,
    ASK,
    BYZANTINE,
    CARTEL,
    DEADLINE,
    LEVELS,
    LOADED,
    MEMORY,
    MODEL,
    NOBODY,
    ORIGIN,
    PRICE,
    SAID_AT,
    SAID_LOAD,
    SAID_PRICE,
    SHARE,
    SPEED,
    VALUE,
    WANTED,
    WORK,
    State,
)


def make(task: str | None = None, **kw: Any) -> EdgeMarket:
    return envs.make("edge_market", task, **kw)  # pyright: ignore[reportReturnType]


def roll(env: EdgeMarket, seeds: Any, steps: int, kind: str | None = None) -> tuple[State, Any]:
    rng = np.random.default_rng(0)
    state, step = env.reset(seeds)
    for _ in range(steps):
        action = random_actions(env, step, rng) if kind is None else heuristic(env, kind)(state)
        state, step = env.step(state, action)
    return state, step


# The world


@pytest.mark.parametrize("n_nodes", [2, 3, 8, 50])
def test_the_graph_is_connected_and_of_few_links(n_nodes: int) -> None:
    env = make(n_nodes=n_nodes, n_neighbors=3)
    state, step = env.reset(range(8))
    for b in range(8):
        adjacency = step.adjacency[b]
        assert (adjacency == adjacency.T).all()
        assert adjacency.sum(axis=1).max() <= 3
        reached = np.linalg.matrix_power(adjacency.astype(float) + np.eye(n_nodes), n_nodes)
        assert (reached > 0).all()
        for i in range(n_nodes):
            row = [j for j in state.neighbor[b, i].tolist() if j != NOBODY]
            assert sorted(row) == np.flatnonzero(adjacency[i]).tolist()
            far = [np.hypot(*(state.node[b, i, 2:4] - state.node[b, j, 2:4])) for j in row]
            assert far == sorted(far)
            for d, j in enumerate(row):
                back = state.neighbor[b, j].tolist().index(i)
                assert (state.link[b, i, d] == state.link[b, j, back]).all()


def test_no_short_link_is_missing_where_there_is_room() -> None:
    env = make(n_neighbors=6, radio_range=0.4)
    state, step = env.reset(range(10))
    for b in range(10):
        degree = step.adjacency[b].sum(axis=1)
        for i in range(8):
            for j in range(i):
                near = np.hypot(*(state.node[b, i, 2:4] - state.node[b, j, 2:4])) <= 0.4
                assert step.adjacency[b, i, j] or not near or max(degree[i], degree[j]) == 6


def arrivals(state: State, n: int, slots: int) -> Any:
    """(B, slots, N) tasks that arrive."""
    found = np.zeros((len(state.step), slots, n))
    for b, tasks in enumerate(state.task_int):
        here = tasks[tasks[:, ARRIVES] < slots]
        np.add.at(found[b], (here[:, ARRIVES], here[:, ORIGIN]), 1)
    return found


@pytest.mark.parametrize("burst", [1.0, 6.0])
def test_arrivals_have_the_mean_they_should(burst: float) -> None:
    env = make(burst=burst, imbalance=0.5)
    state, _ = env.reset(range(200))
    counts = arrivals(state, 8, 200)
    expected = env.rules.arrivals * state.node[..., SHARE]  # (B, N)
    assert counts.mean() == pytest.approx(env.rules.arrivals, rel=0.03)
    assert np.corrcoef(counts.mean(axis=1).ravel(), expected.ravel())[0, 1] > 0.5
    # Sums over 3 s: their variance is their mean where arrivals are Poisson, and much more where they come in spells.
    sums = counts[:, :195].reshape(200, 13, 15, 8).sum(axis=2)  # (B, 195, N) -> (B, 13, 15, N)
    ratio = sums.var(axis=1).mean() / sums.mean()
    assert ratio < 1.1 if burst == 1.0 else ratio > 1.8
    assert state.node[..., SHARE].mean(axis=1) == pytest.approx(1.0)


def test_tasks_are_drawn_within_their_ranges() -> None:
    env = make()
    state, _ = env.reset(range(20))
    c = env.config
    here = state.task_int[..., ARRIVES] <= c.max_steps
    work, size, deadline, value = np.moveaxis(state.task.astype(float), -1, 0)
    patience = deadline - state.task_int[..., ARRIVES] * c.slot_seconds
    for values, mean, spread in (
        (work, c.work, c.work_spread),
        (size, c.size, 0.5),
        (patience, c.deadline, c.deadline_spread),
        (value / np.where(here, work, 1.0), 1.0, 0.5),
    ):
        drawn = values[here]
        assert drawn.min() >= mean * (1 - spread) - 1e-4
        assert drawn.max() <= mean * (1 + spread) + 1e-4
        assert drawn.mean() == pytest.approx(mean, rel=0.03)
    assert (np.diff(state.task_int[..., ARRIVES].astype(int), axis=1) >= 0).all()


def test_energy_prices_jump_now_and_then() -> None:
    env = make(energy_churn=0.1)
    state, _ = env.reset(range(50))
    changes = (np.diff(state.energy.astype(int), axis=1) != 0).mean()
    assert changes == pytest.approx(0.1, abs=0.01)
    assert state.energy.mean() / LEVELS == pytest.approx(0.5, abs=0.03)


def test_models_start_where_they_fit_and_users_prefer_some() -> None:
    env = make("serving-12")
    state, _ = env.reset(range(20))
    used = (state.model[..., LOADED] * state.model_size[:, None]).sum(axis=2)
    assert (used <= state.node[..., MEMORY] + 1e-9).all()
    assert state.model[..., LOADED].any(axis=1).all(), "a model that nobody has"
    shares = np.zeros((20, 12, 8))
    for b, tasks in enumerate(state.task_int):
        here = tasks[tasks[:, ARRIVES] <= 200]
        np.add.at(shares[b], (here[:, ORIGIN], here[:, MODEL]), 1)
    shares = np.sort(shares / shares.sum(axis=2, keepdims=True), axis=2)[..., ::-1].mean(axis=(0, 1))
    zipf = 1 / np.arange(1, 9) / (1 / np.arange(1, 9)).sum()
    assert shares == pytest.approx(zipf, abs=0.06)


def test_faults_follow_the_schedule() -> None:
    env = make("partition-16", failures=2.0)
    state, step = env.reset(range(30))
    assert state.cut.mean() == pytest.approx(env.config.partition, abs=0.02)
    assert (~state.up).mean() == pytest.approx(2.0 * 0.1 / 1.2, abs=0.05)
    rng = np.random.default_rng(0)
    across = (state.node[..., 2] < 0.5 * env.rules.side)[..., None] != (state.node[..., 2] < 0.5 * env.rules.side)[
        :, None
    ]
    seen = 0
    for _ in range(120):
        state, step = env.step(state, random_actions(env, step, rng))
        b, t = np.arange(30), int(state.step[0])
        assert not (step.adjacency & across)[state.cut[b, t]].any()
        down = ~state.up[b, t]
        assert not step.adjacency[down].any()
        assert (state.n_held[down] == 0).all()
        assert not state.model[down][..., LOADED].any()
        assert (step.obs[..., 1] == ~down).all()
        seen += int(down.sum())
    assert seen > 100


def test_prices_differ_between_the_parts_of_a_cut_net() -> None:
    env = make("partition-16", partition=1.0, failures=0.0)
    state, _ = roll(env, range(6), 60, "truthful")
    west = state.node[..., 2] < 0.5 * env.rules.side
    apart = [
        abs(p[w].mean() - p[~w].mean()) for p, w in zip(state.tally[..., PRICE], west, strict=True) if 0 < w.sum() < 16
    ]
    assert max(apart) > 0.01


def test_liars_say_they_have_nothing_to_do_and_the_cartel_asks_dear() -> None:
    env = make("byzantine-16")
    state, _ = roll(env, range(8), 50, "truthful")
    assert (state.node[..., BYZANTINE].sum(axis=1) == 4).all()
    assert (state.node[..., CARTEL].sum(axis=1) == 4).all()
    assert not (state.node[..., BYZANTINE] * state.node[..., CARTEL]).any()
    energy = env.config.energy_low + (env.config.energy_high - env.config.energy_low) * state.energy[:, 49] / LEVELS
    liar, cartel = state.node[..., BYZANTINE] > 0, state.node[..., CARTEL] > 0
    assert state.tally[..., ASK][liar] == pytest.approx(0.5 * energy[liar])
    assert (state.tally[..., ASK][cartel] >= env.config.cartel_price).all()
    honest = ~liar & ~cartel
    assert state.tally[..., ASK][honest] == pytest.approx(energy[honest])
    said = {True: [], False: []}
    for b in range(8):
        for i in range(16):
            for d, j in enumerate(state.neighbor[b, i]):
                if j != NOBODY:
                    said[bool(liar[b, j])].append(state.heard[b, i, d, SAID_LOAD])
    assert max(said[True]) == 0.0
    assert np.mean(said[False]) > 0.2


def test_neighbours_hear_what_was_said_and_how_long_ago() -> None:
    env = make(gossip_every=5)
    state, step = env.reset([4])
    spoke: dict[int, tuple[float, float, float]] = {}
    rng = np.random.default_rng(0)
    for t in range(40):
        for i in range(8):
            if (t + i) % 5 == 0:
                work = state.queue[0, i, :, 0].sum() / state.node[0, i, SPEED]
                spoke[i] = work, state.tally[0, i, ASK], t * env.step_seconds
        for i in range(8):
            for d, j in enumerate(state.neighbor[0, i].tolist()):
                at = OF_NODE + OF_TASK * HEAD_TASKS + OF_MODEL * 4 + 7 * d
                if j == NOBODY:
                    assert not step.obs[0, i, at : at + 7].any()
                elif j in spoke:
                    load, price, when = spoke[j]
                    heard = state.heard[0, i, d]
                    assert heard[[SAID_LOAD, SAID_PRICE, SAID_AT]] == pytest.approx([load, price, when])
                    age = t * env.step_seconds - when
                    assert step.obs[0, i, at + 5] == pytest.approx(age / (age + 2.0), abs=1e-6)
                    assert step.obs[0, i, at + 3] == pytest.approx(load / (load + 2.0), abs=1e-6)
                else:
                    assert step.obs[0, i, at + 5] == 1.0
        state, step = env.step(state, random_actions(env, step, rng))


# What nodes see


def test_a_node_sees_its_own_queue_and_models() -> None:
    env = make(load=1.2)
    state, step = roll(env, range(4), 60, "truthful")
    now, q = 60 * env.step_seconds, lambda x: x / (1 + x)
    for b in range(4):
        for i in range(8):
            o = step.obs[b, i]
            speed, count = state.node[b, i, SPEED], int(state.n_held[b, i])
            tasks, left = state.held[b, i, :count], state.queue[b, i, :count, 0]
            doable = left / speed <= state.task[b, tasks, DEADLINE] - now
            assert o[0] == pytest.approx(speed / 4.0)
            assert o[3] == pytest.approx(q((left * doable).sum() / speed / 2.0), abs=1e-5)
            assert o[5] == pytest.approx(count / 12)
            taken = state.task_int[b, tasks, ORIGIN] != i
            assert o[4] == pytest.approx(q((left * taken).sum() / (2.0 * speed)), abs=1e-5)
            assert o[11] == pytest.approx(q(state.tally[b, i, PRICE]), abs=1e-5)
            for h in range(min(count, HEAD_TASKS)):
                seen, k = o[OF_NODE + OF_TASK * h :][:OF_TASK], tasks[h]
                assert seen[0] == (-1.0 if taken[h] else 1.0)
                assert seen[1] == pytest.approx(left[h] / (left[h] + 1.0), abs=1e-5)
                patience = state.task[b, k, DEADLINE] - now
                assert seen[2] == pytest.approx(patience / (patience + 2.0), abs=1e-5)
                assert seen[3] == pytest.approx(q(state.task[b, k, VALUE] / state.task[b, k, WORK]), abs=1e-5)
                assert seen[5] == state.model[b, i, state.task_int[b, k, MODEL], LOADED]
            assert not o[OF_NODE + OF_TASK * min(count, HEAD_TASKS) : OF_NODE + OF_TASK * HEAD_TASKS].any()
            models = o[OF_NODE + OF_TASK * HEAD_TASKS :][: OF_MODEL * 4].reshape(4, OF_MODEL)  # (20,) -> (4, 5)
            assert (models[:, 0] == state.model[b, i, :, LOADED]).all()
            wanted = state.model[b, i, :, WANTED] * 4 / env.rules.arrivals
            assert models[:, 3] == pytest.approx(q(wanted), abs=1e-5)
    assert step.state[:, -2] == pytest.approx(60 / 200)


def test_a_worlds_end_is_no_edge_to_fall_from() -> None:
    """Who steps on past the time limit meets no new tasks and the last tariffs."""
    env = make(max_steps=5, failures=1.0)
    state, step = roll(env, [1], 9)
    assert step.truncated.all()
    assert np.isfinite(step.obs).all()
    assert state.head[0] == (state.task_int[0, :, ARRIVES] <= 5).sum()


# Policies written by hand, and the discrete actions


@pytest.mark.parametrize("kind", HEURISTICS)
@pytest.mark.parametrize("discrete", [False, True])
def test_every_heuristic_acts(kind: str, discrete: bool) -> None:
    env = make(heuristic=kind, discrete=discrete, max_steps=30)
    act = envs.heuristic("edge_market", heuristic=kind, discrete=discrete, max_steps=30)
    state, step = env.reset(range(3))
    for _ in range(30):
        state, step = env.step(state, act(state))
    sold = step.metrics["offloaded_share"]
    assert (sold == 0).all() if kind == "local" else (sold > 0).any()


def test_discrete_actions_are_the_box_actions_they_name() -> None:
    box, discrete = make(), make(discrete=True)
    state, _ = roll(box, range(2), 30)
    for number, values in enumerate(READY_MADE.values()):
        action = np.zeros((2, 8, 8), np.float32)
        action[..., :4] = values
        strategy = box.strategy(state, action)
        assert discrete.strategy(state, np.full((2, 8), number)) == pytest.approx(strategy, abs=1e-6)


def test_scores_of_models_speak_only_where_they_are_decided() -> None:
    env = make()
    state, _ = env.reset([0])
    action = np.zeros((1, 8, 8), np.float32)
    action[..., 4:] = 0.6, -0.6, 0.7, -0.7
    assert (env.strategy(state, action)[..., 4:] == [0.0, 0.0, 1.0, -1.0]).all()
    action[..., 4:] = 0.6 * np.random.default_rng(0).uniform(-1, 1, (8, 4))
    calm, trembling = env.step(state, action), env.step(state, np.zeros_like(action))
    assert calm[1].team_reward == trembling[1].team_reward


def test_there_is_no_other_heuristic() -> None:
    with pytest.raises(ValueError, match="heuristic is 'best'; give one of truthful, proportional, greedy, local"):
        heuristic(make(), "best")


# What may be set


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rule": "dutch"}, "rule='dutch' is not known: give one of posted, uniform, mcafee, vcg"),
        ({"n_nodes": 1}, "n_nodes=1 is out of range: give a value from 2"),
        ({"n_nodes": 2.5}, "n_nodes=2.5 is a float"),
        ({"load": float("nan")}, "load=nan is out of range"),
        ({"memory": 2.0}, "memory=2.0 may not hold the largest model, 3 GB"),
        ({"energy_low": 0.9}, "energy_low=0.9 is above energy_high=0.45"),
        ({"bound": 1}, "bound=1 is a int"),
    ],
)
def test_mistakes_are_told(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Config(**wrong)


def test_bad_actions_are_told() -> None:
    env = make()
    state, _ = env.reset([0])
    with pytest.raises(ValueError, match=r"give floats of shape \[1, 8, 8\]"):
        env.step(state, np.zeros((1, 8, 4)))
    with pytest.raises(ValueError, match=r"outside Box\(-1, 1\): give two markups"):
        env.step(state, np.full((1, 8, 8), 1.5))
    with pytest.raises(ValueError, match=r"outside Discrete\(8\): give 0 to 7 \(alone; truthful"):
        make(discrete=True).step(state, np.full((1, 8), 8))


# The bound


def test_no_policy_makes_more_than_the_bound() -> None:
    env = make(n_nodes=4, max_steps=50)
    state, _ = env.reset(range(4))
    bound = welfare_bound(env.config, state)
    for kind in (*HEURISTICS, None):
        _, step = roll(env, range(4), 50, kind)
        assert (step.metrics["welfare"] <= bound + 1e-6).all()
    best = roll(env, range(4), 50, "greedy")[1].metrics["welfare"]
    assert (best > 0.4 * bound).all(), "a bound so far off says nothing"


def test_the_bound_is_exact_where_there_is_nothing_to_decide() -> None:
    """Plenty of room, nobody near, one model: all is done at home, and costs its energy."""
    env = make(
        load=0.02,
        latency=60.0,
        n_models=1,
        model_size=1.0,
        energy_churn=0.0,
        max_steps=100,
        deadline=4.0,
        work_spread=0.0,
    )
    state, _ = env.reset(range(3))
    bound = welfare_bound(env.config, state)
    energy = env.config.energy_low + (env.config.energy_high - env.config.energy_low) * state.energy[:, 0] / LEVELS
    for b in range(3):
        arrives, origin, _ = state.task_int[b].T
        speed = state.node[b, origin, SPEED]
        done = arrives * 0.2 + state.task[b, :, WORK] / speed <= 20.0  # the rest is cut by the time limit
        worth = state.task[b, :, VALUE] - energy[b, origin] * state.task[b, :, WORK]
        whole = worth[done].sum()
        assert whole - 1e-6 <= bound[b] <= worth[arrives <= 100].sum() + 1e-6
    _, step = roll(env, range(3), 100, "local")
    assert step.metrics["welfare"] == pytest.approx(bound, rel=0.02)


def test_the_share_of_the_bound_is_reported_where_it_is_asked_for() -> None:
    env = make("duopoly-2", bound=True, max_steps=20)
    state, step = env.reset([0, 1])
    assert "bound_share" in step.metrics
    state, step = roll(env, [0, 1], 20, "truthful")
    assert step.metrics["bound_share"] == pytest.approx(step.metrics["welfare"] / state.bound)
    assert (step.metrics["bound_share"] > 0.1).all()  # the bound lets both sell at once, and all their tasks
    assert (step.metrics["bound_share"] <= 1.0 + 1e-9).all()
    assert "bound_share" not in make().reset([0])[1].metrics
    assert set(METRICS) == set(make().reset([0])[1].metrics)


# The bargain


def linear() -> tuple[Any, Any]:
    """Chatterjee and Samuelson's equilibrium for uniform types."""
    grid = bargain.GRID
    return np.where(grid >= 0.25, 2 / 3 * grid + 1 / 12, grid), np.where(grid <= 0.75, 2 / 3 * grid + 1 / 4, grid)


def test_the_known_equilibrium_has_no_regret() -> None:
    outcome = bargain.judge(*linear(), bargain.value_chances(0.0))
    assert abs(outcome.regret) < 2e-3
    assert outcome.efficiency == pytest.approx(27 / 32, abs=0.01)
    assert outcome.trade == pytest.approx(9 / 32, abs=0.01)
    assert outcome.buyer == pytest.approx(outcome.seller, abs=1e-3)


def test_the_truth_is_regretted_in_a_bargain() -> None:
    outcome = bargain.judge(bargain.GRID, bargain.GRID, bargain.value_chances(0.0))
    assert outcome.efficiency == pytest.approx(1.0)
    assert outcome.regret > 0.1


@pytest.mark.parametrize("mean", [0.0, 0.7])
def test_an_equilibrium_is_found(mean: float) -> None:
    found = bargain.solve(mean)
    assert found.outcome.regret < 0.03
    assert 0.75 < found.outcome.efficiency < 0.9
    trades = bargain.GRID > 0.5
    assert (found.bid[trades] < bargain.GRID[trades]).all(), "buyers shade their bids"


def test_best_responses_are_best() -> None:
    rng = np.random.default_rng(0)
    asks, chances = rng.random(40), rng.dirichlet(np.ones(40))
    best, gain = bargain.best_bids(asks, chances)
    for g in (10, 50, 90):
        value = bargain.GRID[g]
        tries = [(chances * (asks <= p + 1e-12) * (value - 0.5 * (p + asks))).sum() for p in bargain.PRICES]
        assert gain[g] == pytest.approx(max(tries))
        assert tries[round(float(best[g]) * 200)] == pytest.approx(max(tries))
    bids = rng.random(40)
    best, gain = bargain.best_asks(bids, chances)
    for g in (10, 50, 90):
        cost = bargain.GRID[g]
        tries = [(chances * (bids >= p - 1e-12) * (0.5 * (p + bids) - cost)).sum() for p in bargain.PRICES]
        assert gain[g] == pytest.approx(max(tries))


def test_duopoly_is_that_bargain() -> None:
    """Constant markups played in the world bring what `judge` says of them, per meeting of a buyer and a seller."""
    env = make("duopoly-2")
    config, markup = env.config, 0.12
    action = np.zeros((256, 2, 6), np.float32)
    action[..., 0], action[..., 1], action[..., 2] = -2 * markup, 2 * markup, -1.0  # the price scale is 1/2
    state, _ = env.reset(range(256))
    buyers = sellers = met = traded = 0.0
    for _ in range(config.max_steps):
        buys = state.n_held > 0
        meets = buys.sum(axis=1) == 1
        state, step = env.step(state, action)
        buyers += step.reward[meets][buys[meets]].sum()
        sellers += step.reward[meets][~buys[meets]].sum()
        assert not step.reward[~meets].any()
        met += meets.sum()
        traded += (state.partner >= 0).sum()
    grid = bargain.GRID
    expected = bargain.judge(
        np.maximum(grid - markup, 0.0), grid + markup, bargain.value_chances(bargain.mean_tasks(config))
    )
    assert met / (256 * config.max_steps) == pytest.approx(bargain.meetings(config), rel=0.05)
    assert traded / met == pytest.approx(expected.trade, rel=0.04)
    assert buyers / met == pytest.approx(expected.buyer, rel=0.08)
    assert sellers / met == pytest.approx(expected.seller, rel=0.08)


# The picture


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_picture_of_every_task(task: str) -> None:
    env = make(task)
    state, _ = roll(env, [0, 1], 12, "greedy")
    frame = env.render(state, 1)
    assert frame.shape == (HEADER + SIDE + FOOTER, SIDE, 3)
    assert frame.shape[0] % 2 == frame.shape[1] % 2 == 0  # as video codecs want it
    assert np.array_equal(frame, env.render(state, 1))
    assert not np.array_equal(frame, env.render(state, 0))


def test_the_picture_shows_load_sales_and_failures() -> None:
    from envs import paint

    def count(frame: Any, colour: paint.Colour) -> int:
        return int((np.abs(frame.astype(int) - colour).max(axis=2) <= 3).sum())

    env = make("partition-16", failures=0.0, load=2.5)
    state, _ = roll(env, [0], 30, "truthful")
    plain = env.render(state)
    quiet = env.render(state._replace(n_held=np.zeros_like(state.n_held), queue=np.zeros_like(state.queue)))
    assert count(plain, paint.ALARM) > count(quiet, paint.ALARM) + 100  # overloaded
    assert count(plain, paint.STATION[1]) + count(plain, paint.ALARM) > count(quiet, paint.STATION[1])
    partner = np.full_like(state.partner, NOBODY)
    length = np.where(state.neighbor[0] == NOBODY, 0.0, state.link[0, :, :, 1])
    i, d = np.unravel_index(length.argmax(), length.shape)
    partner[0, i] = state.neighbor[0, i, d]
    sold = env.render(state._replace(partner=partner))
    silent = env.render(state._replace(partner=np.full_like(partner, NOBODY)))
    assert count(sold, paint.OKABE_ITO[6]) > count(silent, paint.OKABE_ITO[6]) + 20
    up = state.up.copy()
    up[0, 30, 5] = False
    assert count(env.render(state._replace(up=up)), paint.DEAD) > count(plain, paint.DEAD) + 100
