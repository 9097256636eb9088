"""Agreement of nodes on mean load, ask and demand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from edge_market_scenes import make, roll

from envs.conformance.play import random_actions
from envs.edge_market import EdgeMarket
from envs.edge_market.config import Config, most_peers
from envs.edge_market.metrics import CONSENSUS_METRICS
from envs.edge_market.state import ASK, ASKED, BYZANTINE, FIRST_MODEL, NOBODY, SPEED, WANTED, State, X

RULES = ("gossip", "hierarchical", "robust")


def play(env: EdgeMarket, seeds: Any, steps: int) -> Any:
    """Yields (state, action, next state, next step) under random actions."""
    rng = np.random.default_rng(2)
    state, step = env.reset(seeds)
    for _ in range(steps):
        action = random_actions(env, step, rng)
        following, step = env.step(state, action)
        yield state, action, following, step
        state = following


def own_of(state: State) -> Any:
    """Returns what nodes would measure of themselves, (B, N, V)."""
    load = state.queue[..., 0].sum(axis=2) / state.node[..., SPEED]
    return np.concatenate([load[..., None], state.tally[..., ASK, None], state.model[..., WANTED]], axis=2)


def hops_of(state: State, b: int, works: Any = None) -> Any:
    """Returns the links on the shortest way between each two nodes of a world, (N, N), by powers of the adjacency."""
    n = state.neighbor.shape[1]
    linked = np.zeros((n, n), bool)
    for i, row in enumerate(state.neighbor[b]):
        linked[i, [j for j in row if j != NOBODY]] = True
    linked = linked if works is None else linked & works
    hops, reached = np.zeros((n, n), int), np.eye(n, dtype=bool)
    for k in range(1, n):
        new = (reached.astype(int) @ linked > 0) & ~reached
        hops[new] = k
        reached |= new
    return hops


def test_what_is_measured_is_the_nodes_own() -> None:
    env = make(consensus="gossip", consensus_rounds=2)
    for _, _, after, _ in play(env, range(3), 20):
        np.testing.assert_allclose(after.measured, own_of(after), atol=1e-12)


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_peers_are_the_nodes_within_reach(hops: int) -> None:
    state, _ = make("city-50", consensus="gossip", consensus_hops=hops).reset(range(2))
    for b in range(2):
        far = hops_of(state, b)
        for i in range(50):
            peers = [j for j in state.peer[b, i].tolist() if j != NOBODY]
            assert peers == np.flatnonzero((far[i] > 0) & (far[i] <= hops)).tolist()
            assert state.hops[b, i, : len(peers)].tolist() == far[i, peers].tolist()
            assert not state.hops[b, i, len(peers) :].any()


@pytest.mark.parametrize("rule", RULES)
def test_a_slot_is_what_the_formulas_say(rule: str) -> None:
    """By dense matrices and sorted lists, from the estimates before."""
    env = make(consensus=rule, consensus_pull=0.1, n_neighbors=3, byzantine=0.25, consensus_tolerance=2)
    moved = 0.0
    for before, _, after, _ in play(env, range(3), 12):
        m, lies = after.measured, after.node[..., BYZANTINE] > 0
        change = 0.0 if rule == "robust" else m - before.measured
        x = before.agreed + change
        x = x + 0.1 * (m - x)
        for b in range(3):
            said = np.where(lies[b][:, None], 0.0, x[b])
            said[lies[b], ASKED] = after.tally[b, lies[b], ASK]
            far = hops_of(after, b)
            if rule == "hierarchical":
                expected = by_leaders(far == 1, x[b], said, lies[b])
            else:
                expected = by_peers(rule, (far > 0) & (far <= 2), x[b], said)
            np.testing.assert_allclose(after.agreed[b], expected, atol=1e-10)
        moved = max(moved, float(np.abs(after.agreed - x).max()))
    assert moved > 0.1


def by_peers(rule: str, hears: Any, x: Any, said: Any) -> Any:
    degree = hears.sum(axis=1)
    new = x.copy()
    for i in range(len(x)):
        others = np.flatnonzero(hears[i])
        for v in range(x.shape[1]):
            if rule == "gossip":
                new[i, v] += sum((said[j, v] - x[i, v]) / (1 + max(degree[i], degree[j])) for j in others)
            else:
                above = sorted(said[j, v] for j in others if said[j, v] > x[i, v])
                below = sorted(said[j, v] for j in others if said[j, v] < x[i, v])
                level = [said[j, v] for j in others if said[j, v] == x[i, v]]
                new[i, v] = np.mean([x[i, v], *level, *above[: max(len(above) - 2, 0)], *below[2:]])
    return new


def by_leaders(linked: Any, x: Any, said: Any, lies: Any) -> Any:
    n, leader = len(x), {}
    for i in sorted(range(n), key=lambda i: (-linked[i].sum(), i)):
        if i not in leader:
            leader |= {i: i} | {j: i for j in np.flatnonzero(linked[i]).tolist() if j not in leader}
    clusters = {c: [i for i in range(n) if leader[i] == c] for c in sorted(set(leader.values()))}
    mean = {c: np.mean([x[c], *(said[i] for i in members if i != c)], axis=0) for c, members in clusters.items()}

    def touch(c: int, e: int) -> bool:
        return c != e and any(linked[i, j] for i in clusters[c] for j in clusters[e])

    degree = {c: sum(touch(c, e) for e in clusters) for c in clusters}
    told = {c: said[c] if lies[c] else mean[c] for c in clusters}
    new = dict(mean)
    for c in clusters:
        for e in filter(lambda e: touch(c, e), clusters):
            share = min(len(clusters[c]), len(clusters[e])) / (1 + max(degree[c], degree[e])) / len(clusters[c])
            new[c] = new[c] + share * (told[e] - mean[c])
    return np.array([new[leader[i]] if i == leader[i] or not lies[leader[i]] else said[leader[i]] for i in range(n)])


@pytest.mark.parametrize("rule", ["gossip", "hierarchical"])
@pytest.mark.parametrize("options", [{}, {"failures": 2.0, "partition": 0.5, "consensus_rounds": 3}])
def test_the_mean_is_kept_however_much_is_lost(rule: str, options: dict[str, Any]) -> None:
    env = make(n_nodes=12, consensus=rule, consensus_pull=0.0, consensus_loss=0.4, max_steps=80, **options)
    for _, _, after, _ in play(env, range(3), 80):
        assert after.agreed.sum(axis=1) == pytest.approx(after.measured.sum(axis=1), abs=1e-9)
    exchanged = make(n_nodes=12, consensus=rule, max_steps=80, **options)
    spread = [roll(e, range(3), 60)[1].metrics["consensus_disagreement"].mean() for e in (exchanged, env)]
    assert spread[0] < spread[1], "losses cost nothing"


def test_nothing_crosses_a_cut_and_both_sides_join_again() -> None:
    env = make("partition-16", consensus="gossip", consensus_pull=0.0, failures=0.0, consensus_rounds=2)
    apart: dict[bool, list[float]] = {False: [], True: []}
    for before, _, after, _ in play(env, range(4), 200):
        west = after.node[..., X] < 0.5 * env.params.side
        t = int(after.step[0])
        surplus = (after.agreed - after.measured) - (before.agreed - before.measured)  # (B, N, V)
        for b in range(4):
            if after.cut[b, t]:
                assert surplus[b, west[b]].sum(axis=0) == pytest.approx(0.0, abs=1e-9)
            sides = [after.agreed[b, side, FIRST_MODEL:].mean(axis=0) for side in (west[b], ~west[b])]
            apart[bool(after.cut[b, t])].append(float(np.abs(sides[0] - sides[1]).mean()))
        assert after.agreed.mean(axis=1) == pytest.approx(after.measured.mean(axis=1), abs=1e-9)
    assert np.mean(apart[True]) > 2.0 * np.mean(apart[False])


def test_nodes_that_are_down_keep_their_estimate() -> None:
    env = make(consensus="gossip", failures=3.0, max_steps=100)
    seen = 0
    for before, _, after, step in play(env, range(6), 100):
        down = ~after.up[:, int(after.step[0])]
        assert (after.agreed[down] == before.agreed[down]).all()
        assert (after.silence[down] == before.silence[down] + 1).all()
        assert (step.obs[..., -1][down] > 0).all()
        seen += int(down.sum())
    assert seen > 100


@pytest.mark.parametrize("rule", RULES)
def test_without_exchanges_estimates_are_the_nodes_own(rule: str) -> None:
    env = make(consensus=rule, consensus_loss=1.0, consensus_pull=1.0)
    state, step = roll(env, range(2), 15)
    assert state.agreed == pytest.approx(own_of(state))
    assert (state.silence == 16).all()
    age = 16 * env.step_seconds
    assert step.obs[..., -1] == pytest.approx(age / (age + 2.0))
    state, step = roll(make(consensus=rule), range(2), 15)
    assert not state.silence.any()
    assert not step.obs[..., -1].any()


def test_trimmed_means_stay_within_what_honest_nodes_measured() -> None:
    """All seven others are heard, and two of them lie that no model is needed: f = 2 takes 3 f + 1 = 7."""
    outside = {}
    for rule in ("gossip", "robust"):
        env = make(n_neighbors=7, radio_range=9.0, byzantine=0.25, consensus=rule, consensus_tolerance=2)
        least, most, below = np.full((4, 6), np.inf), np.full((4, 6), -np.inf), 0.0
        state, _ = env.reset(range(4))
        for _, _, after, _ in play(env, range(4), 150):
            for b in range(4):
                honest = after.node[b, :, BYZANTINE] == 0.0
                for measured in (state.measured[b, honest], after.measured[b, honest]):
                    least[b] = np.minimum(least[b], measured.min(axis=0))
                    most[b] = np.maximum(most[b], measured.max(axis=0))
                below = max(below, float((least[b] - after.agreed[b, honest]).max()))
                below = max(below, float((after.agreed[b, honest] - most[b]).max()))
        outside[rule] = below
    assert outside["robust"] <= 1e-12
    assert outside["gossip"] > 1e-3


def test_liars_bias_gossip_more_than_trimmed_means() -> None:
    bias = {}
    for rule in ("gossip", "robust"):
        env = make("byzantine-16", consensus=rule, consensus_hops=3, consensus_tolerance=4)
        bias[rule] = roll(env, range(4), 100, "truthful")[1].metrics["consensus_bias"].mean()
    assert bias["robust"] < 0.75 * bias["gossip"]


@pytest.mark.parametrize("rule", RULES)
def test_estimates_are_observed_after_all_that_was_before(rule: str) -> None:
    env, plain = make(consensus=rule, consensus_loss=0.3), make()
    size = plain.observation_space.shape[0]
    assert env.obs_names[:size] == plain.obs_names
    assert env.obs_names[size:] == (
        "agreed_load", "agreed_price", *(f"agreed_demand_{m}" for m in range(4)), "agreed_age",
    )  # fmt: skip
    other, _ = plain.reset(range(3))
    for _, action, after, step in play(env, range(3), 40):
        other, shown = plain.step(other, action)
        assert step.obs[..., :size].tobytes() == shown.obs.tobytes()
        assert step.reward.tobytes() == shown.reward.tobytes()
        x = np.maximum(after.agreed, 0.0)
        unit = [env.config.deadline, 1.0, *[env.params.arrivals / 4] * 4]
        age = after.silence * env.step_seconds
        assert step.obs[..., size:-1] == pytest.approx(x / (x + unit), abs=1e-6)
        assert step.obs[..., -1] == pytest.approx(age / (age + 2.0), abs=1e-6)


def test_metrics_are_those_of_honest_nodes_that_work() -> None:
    env = make("byzantine-16", consensus="gossip", failures=2.0, max_steps=60)
    apart, off = [], []
    _, step = env.reset(range(3))
    first = (step.metrics["consensus_disagreement"], step.metrics["consensus_bias"])
    shown = step.metrics
    for _, _, after, step in play(env, range(3), 60):
        shown = step.metrics
        unit = np.array([env.config.deadline, 1.0, *[env.params.arrivals / 4] * 4])
        for b in range(3):
            rows = after.up[b, int(after.step[0])] & (after.node[b, :, BYZANTINE] == 0.0)
            x, m = after.agreed[b, rows] / unit, after.measured[b, rows] / unit
            apart.append(np.sqrt((x.std(axis=0) ** 2).mean()))
            off.append(np.sqrt(((x - m).mean(axis=0) ** 2).mean()))
    for name, found, start in zip(CONSENSUS_METRICS, (apart, off), first, strict=False):
        mean = (np.reshape(found, (60, 3)).sum(axis=0) + start) / 61
        assert shown[name] == pytest.approx(mean)


def test_every_link_that_an_estimate_goes_over_is_a_message() -> None:
    for hops, rounds in ((1, 1), (2, 3)):
        env = make(consensus="gossip", consensus_hops=hops, consensus_rounds=rounds, consensus_loss=0.5)
        state, step = roll(env, range(3), 10)
        for b in range(3):
            far = hops_of(state, b)
            assert step.metrics["consensus_messages"][b] == 11 * rounds * far[far <= hops].sum()


def test_counterfactuals_do_not_depend_on_estimates() -> None:
    for kind, horizon in (("absent", 1), ("absent", 3), ("shapley", 1)):
        options: dict[str, Any] = {"counterfactual": kind, "horizon": horizon, "max_steps": 20}
        env, plain = make(consensus="gossip", **options), make(**options)
        other, _ = plain.reset(range(2))
        for before, action, _, step in play(env, range(2), 10):
            assert env.counterfactual(before, action).tobytes() == plain.counterfactual(other, action).tobytes()
            other, shown = plain.step(other, action)
            assert step.counterfactual is not None
            assert shown.counterfactual is not None
            assert step.counterfactual.tobytes() == shown.counterfactual.tobytes()


def test_worlds_lose_exchanges_of_their_own() -> None:
    env = make(consensus="gossip", consensus_loss=0.5)
    state, _ = roll(env, [1, 1, 2], 10, "truthful")
    assert (state.agreed[0] == state.agreed[1]).all()
    assert state.key[0] == state.key[1] != state.key[2]


@pytest.mark.parametrize("task", ["village-8", "serving-12"])
def test_levelling_work_by_agreed_load_makes_more_than_greed(task: str) -> None:
    env = make(task, consensus="gossip")
    made = {k: roll(env, range(24), 200, k)[1].metrics["welfare"] for k in ("consensus-proportional", "greedy")}
    gain = made["consensus-proportional"] - made["greedy"]
    assert gain.mean() > 2.0 * gain.std() / np.sqrt(24)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"consensus": "vote"}, "consensus='vote' is not known: give one of none, gossip, hierarchical, robust"),
        (
            {"consensus": "robust", "consensus_hops": 1, "consensus_tolerance": 2},
            r"consensus_tolerance=2 liars take 7 nodes heard \(3 f \+ 1\), where a node hears at most 4: tolerate at "
            "most 1, or raise n_nodes, n_neighbors or consensus_hops",
        ),
        ({"heuristic": "consensus-proportional"}, "needs estimates of demand, and consensus='none': give a consensus"),
        ({"consensus_loss": 1.5}, "consensus_loss=1.5 is out of range: give a value from 0 to 1"),
        (
            {"consensus": "gossip", "consensus_hops": 8, "n_nodes": 1024, "n_neighbors": 16, "n_models": 32},
            "lets a node hear 1023 others, 285 MB a world, where 128 MB fit: lower one",
        ),
    ],
)
def test_what_cannot_hold_is_refused_in_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Config(**wrong)
    assert "\n" not in str(caught.value)


def test_the_bound_counts_nodes_within_reach() -> None:
    assert most_peers(Config(n_nodes=50, consensus_hops=2)) == 4 + 4 * 3
    assert most_peers(Config(n_nodes=8, consensus_hops=2)) == 7
    Config(consensus="robust", consensus_tolerance=2)


def test_a_heuristic_by_agreement_needs_one() -> None:
    from envs.edge_market.heuristic import heuristic

    with pytest.raises(ValueError, match="needs agreed demand; give the market a consensus"):
        heuristic(make(), "consensus-proportional")
    for discrete in (False, True):
        env = make(consensus="gossip", discrete=discrete, heuristic="consensus-proportional", max_steps=20)
        _, step = roll(env, [0], 20, "consensus-proportional")
        assert step.metrics["offloaded_share"][0] > 0.0
