"""Rules of agreement: rounds and messages to agree, messages in a calm network, liars, rounds a second, and scale.

    python benchmarks/consensus.py
    python benchmarks/consensus.py --parts agreement --nodes 16 64
    python benchmarks/consensus.py --parts speed

Networks are random geometric graphs of about 8 neighbours a node. Nodes agree within 1 % when each is within 0.01 of
the mean of the first values, whose standard deviation is 1. Rounds are hops: the time in which a message passes a link.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import consensus_pictures
import consensus_scale
import numpy as np
import report
from consensus_rules import (
    CALLED,
    RULES,
    Adaptive,
    Gossip,
    Hierarchical,
    Links,
    Rule,
    election,
    first_values,
    geometric,
)

from envs.consensus import LIES, agree, averaged, heard_of, lists_of, most_liars, overheard, trimmed
from envs.consensus.chance import CALLS, fill_uniform
from envs.consensus.gossip import gossip_round, plain_round
from envs.consensus.lists import fill_heard
from envs.consensus.partners import fill_calls
from envs.consensus.robust import trimmed_round
from envs.consensus.weights import contraction, fill_metropolis, metropolis

NODES = (16, 64, 256, 1024)
LOSSES = (0.0, 0.2, 0.5)
WITHIN = 0.01
"""Nodes agree when each is this close to the mean, in standard deviations of the first values."""
MOST_ROUNDS = {"pairs": 200_000}
"""Where a rule is given up that does not come to agree; others after 20,000 rounds."""


def agreement(rule: Rule, most: int) -> list[dict[str, Any]]:
    """Runs a rule until all networks agree; returns rounds, messages and the drift of the mean of each.

    Networks that have not agreed after `most` rounds have neither rounds nor messages.
    """
    n_networks = len(rule.value)
    messages, rounds, t = np.zeros(n_networks), 0, 0
    found: list[dict[str, Any]] = [{} for _ in range(n_networks)]
    while rounds < most and not all(found):
        sent, took = rule.step(t)
        messages, rounds, t = messages + sent, rounds + took, t + 1
        for b in np.nonzero((np.abs(rule.value[..., 0]) <= WITHIN).all(axis=1))[0]:
            found[b] = found[b] or {"rounds": rounds, "messages": int(messages[b])}
    drift = np.abs(rule.value.mean(axis=(1, 2)))
    return [{"rounds": None, "messages": None, **one, "drift": float(drift[b])} for b, one in enumerate(found)]


def agreements(nodes: Sequence[int], n_networks: int, names: Sequence[str], rows: list[Any]) -> list[dict[str, Any]]:
    """Returns a row for each size, loss and rule, and those of `rows` that are not measured anew."""
    rows = [row for row in rows if row["nodes"] not in nodes or row["rule"] not in names]
    for n in nodes:
        network = geometric(n_networks, n, seed=0)
        gap = contraction(network.neighbor, metropolis(network.neighbor, network.neighbor >= 0))
        about = {"nodes": n, "degree": float((network.neighbor >= 0).sum() / (n * n_networks))}
        about |= {"contraction": float(gap.mean())}
        for loss in LOSSES:
            for name in names:
                rule = RULES[name](Links(network, loss, seed=1), first_values(network, seed=2))
                one = agreement(rule, MOST_ROUNDS.get(name, 20_000 if name != "one-sided" else 4_000))
                row = {**about, "loss": loss, "rule": name, "networks": one}
                if isinstance(rule, Hierarchical):
                    leads = rule.clusters.leader == np.arange(n)
                    row |= {"leaders": float(leads.sum(axis=1).mean()), "election": election(network, rule.clusters)}
                rows.append(row)
                print(f"{n} nodes, loss {loss}, {name}: {_middle(row, 'rounds')} rounds", flush=True)
    return rows


def _middle(row: dict[str, Any], column: str) -> str:
    """Returns the median over networks for reading; how many agreed where some did not."""
    values = [one[column] for one in row["networks"] if one[column] is not None]
    if len(values) < len(row["networks"]):
        return f"{len(values)} of {len(row['networks'])}"
    return report.short(float(np.median(values)))


def agreement_table(rows: Sequence[dict[str, Any]]) -> str:
    """Returns rounds and messages a node by rule and size, a table for each loss."""
    parts = []
    for loss in LOSSES:
        sizes = sorted({row["nodes"] for row in rows})
        lines = []
        for name in RULES:
            of_rule = {row["nodes"]: row for row in rows if row["loss"] == loss and row["rule"] == name}
            per_node = [_per_node(of_rule[n]) for n in sizes if n in of_rule]
            lines.append([name, *(_middle(of_rule[n], "rounds") for n in sizes if n in of_rule), *per_node])
        head = [f"loss {loss:.0%}", *(f"rounds, {n}" for n in sizes), *(f"messages a node, {n}" for n in sizes)]
        parts.append(report.markdown(head, lines))
    return "\n\n".join(parts)


def _per_node(row: dict[str, Any]) -> str:
    values = [one["messages"] for one in row["networks"]]
    return "-" if None in values else report.short(float(np.median(values)) / row["nodes"])


def tracking(n_nodes: int = 64, n_rounds: int = 4000, n_networks: int = 10) -> list[dict[str, Any]]:
    """Returns messages and errors of nodes that follow the mean of signals, in calm times and in busy ones.

    Each node's signal is its first value plus a slow wave of its own, with an amplitude of 0.1 and a period of 2,000 to
    6,000 rounds. In busy times, from 1,500 to 2,500, the signals of the nodes in a quarter of the square swing with an
    amplitude of 1 and a period of 300 rounds. Nodes begin at the mean, and add the changes of their signal to what they
    hold: dynamic average consensus (Spanos, Olfati-Saber and Murray 2005), which keeps the mean.
    """
    network = geometric(n_networks, n_nodes, seed=3)
    rng = np.random.default_rng(4)
    period, phase = rng.uniform(2000, 6000, (2, n_networks, n_nodes))
    corner = (network.place < 0.5).all(axis=2)  # (B, N)
    t = np.arange(n_rounds)[:, None, None]
    signal = 0.1 * np.sin(2 * np.pi * (t + phase) / period)  # (T, B, N)
    busy = (t >= 1500) & (t < 2500)
    signal += np.where(busy & corner, np.sin(2 * np.pi * t / 300), 0.0)
    times = {"calm": np.r_[500:1500, 3000:n_rounds], "busy": np.r_[1500:2500]}
    peers: dict[str, Callable[[Links, np.ndarray], Rule]] = {"gossip": Gossip}
    for tolerance in (0.002, 0.005, 0.01):
        peers[f"adaptive, {tolerance}"] = lambda links, value, to=tolerance: Adaptive(links, value, tolerance=to)
    rows = []
    for name, every in [*((peer, 1) for peer in peers), ("gossip", 2), ("gossip", 5), ("gossip", 20)]:
        links = Links(network, 0.0, seed=5)
        rule = peers[name](links, np.zeros((n_networks, n_nodes, 1)))
        rule.value[..., 0] = signal[0].mean(axis=1, keepdims=True)
        errors, sent = np.zeros((n_rounds, n_networks)), np.zeros((n_rounds, n_networks))
        for at in range(1, n_rounds):
            rule.value[..., 0] += signal[at] - signal[at - 1]
            if at % every == 0:
                sent[at], _ = rule.step(at)
            errors[at] = ((rule.value[..., 0] - signal[at].mean(axis=1, keepdims=True)) ** 2).mean(axis=1)
        row: dict[str, Any] = {"rule": name if every == 1 else f"gossip, one round of {every}"}
        for what, when in times.items():
            row[what] = {"messages": float(sent[when].mean() / n_nodes), "error": float(errors[when].mean() ** 0.5)}
        rows.append(row)
    return rows


def tracking_table(rows: Sequence[dict[str, Any]]) -> str:
    """Returns messages a node and round, and the root mean square error, in calm times and in busy ones."""
    head = ["", *(f"{what}: {column}" for what in ("calm", "busy") for column in ("messages", "error"))]
    columns = [(what, column) for what in ("calm", "busy") for column in ("messages", "error")]
    return report.markdown(
        head, [[row["rule"], *(report.short(row[what][column]) for what, column in columns)] for row in rows]
    )


def liars(n_seeds: int = 100, n_rounds: int = 60) -> list[dict[str, Any]]:
    """Returns how far liars pull honest nodes out of the range of their first values, which is [-1, 1].

    In `12, hearing all` each node hears all others; in `12, hearing 3` three random ones a round, of which one is
    trimmed although the bound allows none; in `50, hearing 24` the 24 nearest of a unit square, and those that it is
    among the nearest of.
    """
    full = ~np.eye(12, dtype=np.bool_)
    place = np.random.default_rng(6).random((n_seeds, 50, 2))
    away = ((place[:, :, None] - place[:, None]) ** 2).sum(axis=-1)  # (B, N, N)
    near = (away.argsort(axis=2).argsort(axis=2) <= 24) & (away > 0)
    nets = {
        "12, hearing all": (lists_of(np.stack([full] * n_seeds)), None, most_liars(11), (0, 2, 3, 4)),
        "12, hearing 3": (lists_of(np.stack([full] * n_seeds)), 3, 1, (1, 2)),
        "50, hearing all": (lists_of(np.ones((n_seeds, 50, 50), np.bool_)), None, most_liars(49), (0, 16, 17)),
        "50, hearing 24": (lists_of(near | near.transpose(0, 2, 1)), None, most_liars(24), (0, 7, 10, 16)),
    }
    rows = []
    for name, (neighbor, called, tolerance, counts) in nets.items():
        for n_liars in counts:
            for kind in LIES if n_liars else ("constant",):
                one = _lied_to(neighbor, called, n_liars, kind, (tolerance, n_rounds))
                rows += [{"network": name, "liars": n_liars, "lie": kind, "trimmed": tolerance, **one}]
    return rows


def _lied_to(
    neighbor: np.ndarray, called: int | None, n_liars: int, kind: str, settings: tuple[int, int]
) -> dict[str, float]:
    """Returns what came of honest nodes that trim, and of those that do not."""
    tolerance, n_rounds = settings
    rng = np.random.default_rng(7)
    n_worlds, n_nodes, _ = neighbor.shape
    first = rng.uniform(-1, 1, (n_worlds, n_nodes, 1))
    liar = rng.random((n_worlds, n_nodes)).argsort(axis=1) < n_liars
    lying = liar[np.arange(n_worlds)[:, None, None], np.maximum(neighbor, 0)] & (neighbor >= 0)
    found: dict[str, float] = {"heard_liars": float(lying.sum(axis=2)[~liar].max())}
    for name in ("robust", "gossip"):
        value = first.copy()
        for counter in range(n_rounds):
            active = neighbor >= 0
            if called is not None:
                active = np.where(active, rng.random(neighbor.shape), 2.0).argsort(axis=2).argsort(axis=2) < called
            numbers = rng.random(neighbor.shape)
            heard = overheard(kind, heard_of(neighbor, value), neighbor, liar, 5.0, counter, numbers)
            if name == "robust":
                value = trimmed(active, heard, value, tolerance)
            else:
                value = averaged(neighbor, active, heard, value, value)
        honest = np.where(liar[..., None], np.nan, first)
        low, high = np.nanmin(honest, axis=(1, 2)), np.nanmax(honest, axis=(1, 2))  # (B,)
        last = np.where(liar[..., None], np.nan, value)
        out = np.maximum(np.nanmax(last, axis=(1, 2)) - high, low - np.nanmin(last, axis=(1, 2)))
        found[f"{name}_held"] = float((out <= 1e-12).mean())
        found[f"{name}_beyond"] = float(np.maximum(out, 0).max())
        found[f"{name}_bias"] = float(np.abs(np.nanmean(last, axis=(1, 2)) - np.nanmean(honest, axis=(1, 2))).mean())
        found[f"{name}_disagreement"] = float(np.nanstd(last, axis=(1, 2)).mean())
    return found


def liars_table(rows: Sequence[dict[str, Any]]) -> str:
    """Returns by lie the share of networks in which all honest nodes stayed in the range of their first values.

    Beside it, the distance of their mean from the true one, and how far they were pulled beyond the range at most,
    where liars say a constant.
    """
    lines = []
    for network, n_liars in dict.fromkeys((row["network"], row["liars"]) for row in rows):
        by_lie = {row["lie"]: row for row in rows if (row["network"], row["liars"]) == (network, n_liars)}
        one = by_lie["constant"]
        held = [report.short(by_lie[kind]["robust_held"]) if kind in by_lie else "" for kind in LIES]
        pulled = [f"{one[f'{name}_{what}']:.2f}" for what in ("bias", "beyond") for name in ("robust", "gossip")]
        most = f"{max(row['heard_liars'] for row in by_lie.values()):.0f}"
        lines.append([f"{network}: {n_liars} liars", str(one["trimmed"]), most, *held, *pulled])
    columns = [f"{what}, {name}" for what in ("bias", "beyond") for name in ("robust", "gossip")]
    return report.markdown(["", "f", "liars heard at most", *(f"held: {kind}" for kind in LIES), *columns], lines)


def speed(n_nodes: int = 1024, repetitions: int = 15, seconds: float = 0.3) -> dict[str, Any]:
    """Returns rounds a second of the kernels on one network, on one core."""
    network = geometric(1, n_nodes, seed=8)
    neighbor, back, _ = network
    value, out = first_values(network, seed=9), np.empty((1, n_nodes, 1))
    linked, heard, numbers = neighbor >= 0, heard_of(neighbor, value), np.empty(neighbor.shape)
    weight, active, key = metropolis(neighbor, linked), linked.copy(), np.array([1], np.uint64)

    def over_all() -> None:
        plain_round(neighbor, weight, value, out)

    def hundred_over_all() -> None:
        agree(neighbor, linked, value, 100)

    def with_what_was_heard() -> None:
        fill_heard(neighbor, value, heard)
        gossip_round(neighbor, linked, heard, value, value, out)

    def trimming() -> None:
        fill_heard(neighbor, value, heard)
        trimmed_round(linked, heard, value, 1, out)

    def calling() -> None:
        fill_uniform(key, key, CALLS, False, neighbor, numbers)
        fill_calls(neighbor, back, linked, numbers, CALLED, active)
        fill_metropolis(neighbor, active, weight_of_calls)
        plain_round(neighbor, weight_of_calls, value, out)

    weight_of_calls = np.empty_like(weight)
    tried: dict[str, tuple[Callable[[], None], int]] = {
        "gossip over all links, constant weights": (over_all, 1),
        "the same, 100 rounds a call": (hundred_over_all, 100),
        "gossip over all links, weights and what was heard anew": (with_what_was_heard, 1),
        "gossip, k = 3: draws, calls, weights, round": (calling, 1),
        "robust, f = 1, with what was heard": (trimming, 1),
    }
    rows = {}
    for name, (once, rounds) in tried.items():
        once()
        rates = []
        for _ in range(repetitions):
            begin, count = time.process_time(), 0
            while time.process_time() - begin < seconds / repetitions * 3:
                for _ in range(20 if rounds == 1 else 1):
                    once()
                    count += rounds
            rates.append(count / (time.process_time() - begin))
        rows[name] = report.spread(rates)
    return {"nodes": n_nodes, "links": int(linked.sum()), "rounds_per_second": rows, "machine": report.machine()}


def speed_table(found: dict[str, Any]) -> str:
    """Returns rounds a second, and the time of a link."""
    lines = [
        [name, report.cell(one), report.short(1e9 / one["median"] / found["links"])]
        for name, one in found["rounds_per_second"].items()
    ]
    head = [f"{found['nodes']} nodes, {found['links']} directed links", "rounds/s", "a link and round [ns]"]
    return report.markdown(head, lines)


TABLES: dict[str, Callable[[Any], str]] = {
    "agreement": agreement_table,
    "tracking": tracking_table,
    "liars": liars_table,
    "speed": speed_table,
    "scale": consensus_scale.scale_table,
}
"""Parts of the results, and what prints them."""


def main() -> None:
    """Measures, writes the results after each part, prints them and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=list(TABLES), choices=list(TABLES), metavar="PART")
    parser.add_argument("--nodes", type=int, nargs="+", default=list(NODES))
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES), metavar="RULE")
    parser.add_argument("--networks", type=int, default=5, help="networks of each size")
    parser.add_argument("--table", action="store_true", help="only print the results so far")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "consensus.json")
    given = parser.parse_args()
    results = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    run: dict[str, Callable[[], Any]] = {
        "agreement": lambda: agreements(given.nodes, given.networks, given.rules, results.get("agreement", [])),
        "tracking": tracking,
        "liars": liars,
        "speed": speed,
        "scale": lambda: consensus_scale.scale(WITHIN),
    }
    for part in given.parts if not given.table else ():
        results |= {part: run[part](), "machine": report.machine()}
        report.write(given.out, results, quiet=True)
    for part in given.parts:
        if part in results:
            print(f"\n{TABLES[part](results[part])}")
    if "agreement" in results:
        consensus_pictures.draw(results, given.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
