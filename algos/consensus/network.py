"""A network of learners without a server: sessions of their own that train for a while and then average.

    def learner(number: int) -> Session:             # a module's function, so that it can be sent to a process
        config = run_config("warehouse", "mappo", env_options={"layout": LAYOUTS[number]}, seed=number)
        return session(config, Path(f"runs/warehouse-{number}"))

    makers = [functools.partial(learner, number) for number in range(8)]
    config = ConsensusConfig(consensus="gossip", topology="ring", consensus_every=20_000)
    with Network(makers, config, processes=True) as network:
        network.run()

Nodes may differ in their environment's options, such as layouts, as long as observations and actions have the same
shapes. The policy is always shared; critics and the units of their values are, where all nodes have the same shapes.
Adam's moments, experience and replay stay at home, and nothing else leaves a node.

Axes: N nodes, P learners of each, [p] for the p-th learner of every node: those average with each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from ..report.monitor import Monitor
from ..training.evaluation import Evaluation
from ..training.session import Outcome
from .agreement import Agreement
from .config import ConsensusConfig
from .node import Driven, MakeSession, Node, Process, Shape
from .parameters import OF_CRITICS, Parts, packed, unpacked


class Network:
    """Drives sessions that learn together by averaging, without a server.

    The number of steps alone decides when they average, and every average has chance of its own. So a network of
    resumed sessions goes on bit for bit, with two exceptions: sessions save one after the other once they have
    averaged, and if the network is killed in the midst of that, those that have saved average once more with the
    others. And one that has saved by itself right before an average that was not made any more goes on without it.

    Attributes:
        notes: Remarks for the user, a line each.
        shared: Names of the parts that are shared, see `parameters.parts_of`.
    """

    def __init__(
        self,
        makers: Sequence[MakeSession],
        config: ConsensusConfig,
        *,
        names: Sequence[str] = (),
        seed: int = 0,
        processes: bool = False,
        folder: Path | None = None,
    ) -> None:
        """Makes the sessions; if none of them has begun, all take the parameters of the first.

        Args:
            makers: (N,) each makes a session, a new one or a resumed one.
            config: How they average.
            names: (N,) of the nodes; left out: node_0, node_1, ...
            seed: Seed of the chance of averages.
            processes: Give each node a process of its own, in which `makers` are called; see `node.Process`.
            folder: Where rows of `consensus/*` are kept, in metrics.jsonl and for TensorBoard; None: nowhere.

        Raises:
            ValueError: Nodes do not fit each other, or the options do not hold for so many.
            NodeError: A session could not be made in its process.
        """
        if len(makers) < 2:
            raise ValueError(f"makers: {len(makers)} node has nobody to average with; give at least 2")
        if config.consensus == "none" or config.topology == "adjacency":
            what = "consensus is 'none'" if config.consensus == "none" else "topology is 'adjacency'"
            raise ValueError(f"{what}, which means nothing between sessions: choose a rule and a topology")
        self.names = tuple(names) or tuple(f"node_{number}" for number in range(len(makers)))
        if len(self.names) != len(makers):
            raise ValueError(f"names: {len(self.names)} for {len(makers)} nodes; give one for each")
        everybody = torch.ones(len(makers), len(makers), dtype=torch.bool)
        self._config = config
        self._agreement = Agreement(config, self.names, may=everybody, seed=seed)
        self.notes = self._agreement.notes
        self._monitor: Monitor | None = None
        self._nodes: list[Driven] = []
        try:
            kind = Process if processes else Node
            self._nodes.extend(kind(make) for make in makers)
            self._check(self._all("shape"))
            parts = self._all("parts")
            self.shared = _in_common(parts, self.names)
            progress = self._all("progress")
            self._steps, self._finished = [steps for steps, _ in progress], [finished for _, finished in progress]
            if not any(self._steps):
                first = {name: parts[0][name] for name in self.shared}
                self._all("put", *[(first,)] * len(makers))
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                self._monitor = Monitor(folder, steps=self.steps, resumed=any(self._steps))
        except BaseException:
            self.close()
            raise

    @property
    def steps(self) -> int:
        """Environment steps that every node has made at least."""
        return min(self._steps)

    @property
    def finished(self) -> bool:
        """Whether all nodes have made all steps of their schedules."""
        return all(self._finished)

    def advance(self) -> dict[str, float]:
        """Lets all nodes train until the next average, averages, and saves.

        Returns:
            `disagreement_before`, `disagreement` and `bias` of the average, see `Agreement.compared`, `messages` and
            `bytes`.

        Raises:
            NodeError: A node has failed; what was learned before the last average is saved.
            Exception: Whatever a session in this process raises.
        """
        number = self.steps // self._config.consensus_every
        goal = (number + 1) * self._config.consensus_every
        progress = self._all("advance", *[(goal,)] * len(self._nodes))
        self._steps, self._finished = [steps for steps, _ in progress], [finished for _, finished in progress]
        told = self._average(number)
        self._all("save")
        if self._monitor is not None:
            self._monitor.row(self.steps, {f"consensus/{name}": value for name, value in told.items()})
        return told

    def rounds(self) -> Iterator[dict[str, float]]:
        """Advances until all nodes have finished, and yields what `advance` returns; the last average is final."""
        while not self.finished:
            before = self.steps
            yield self.advance()
            if self.steps == before and not self.finished:  # a session was asked to stop
                return

    def run(self) -> list[Outcome]:
        """Trains all nodes to the end of their schedules, and finishes them."""
        for _ in self.rounds():
            pass
        return self.finish()

    def evaluate(self, n_episodes: int = 20) -> list[Evaluation]:
        """Plays episodes with each node's policy in its own environment, see `Session.evaluate`."""
        return self._all("evaluate", *[(n_episodes,)] * len(self._nodes))

    def finish(self) -> list[Outcome]:
        """Finishes all sessions, see `Session.finish`, and closes them."""
        outcomes = self._all("finish")
        self.close()
        return outcomes

    def close(self) -> None:
        """Closes all sessions without saving; again does nothing."""
        nodes, self._nodes = self._nodes, []
        for node in nodes:
            node.close()
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None

    def __enter__(self) -> Network:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _all(self, what: str, *arguments: tuple[Any, ...]) -> list[Any]:
        """Calls a method of all nodes, at the same time where they have processes; `arguments` are those of each."""
        if not self._nodes:
            raise RuntimeError("the network is closed")
        for node, own in zip(self._nodes, arguments or [()] * len(self._nodes), strict=True):
            node.begin(what, *own)
        answers, failed = [], None
        for node in self._nodes:  # all answers are taken, so that nobody is left in the middle of a call
            try:
                answers.append(node.end())
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return answers

    def _average(self, number: int) -> dict[str, float]:
        every = [{name: parts[name] for name in self.shared} for parts in self._all("parts")]
        both = [packed(parts) for parts in every]
        value, width = torch.stack([one for one, _ in both], 1), both[0][1]  # (P, N, X)
        assert self._agreement.links is not None
        after, messages = self._agreement.agree(value, width, self._agreement.links, number)
        self._all("put", *[(unpacked(after[:, i], parts),) for i, parts in enumerate(every)])
        told = self._agreement.compared(value[..., :width], after[..., :width])
        messages *= len(value)
        size = self._all("message_bytes", *[(tuple(self.shared),)] * len(self._nodes))[0]
        return told | {"messages": float(messages), "bytes": float(messages * size)}

    def _check(self, shapes: Sequence[Shape]) -> None:
        """Refuses nodes that cannot share a policy."""
        for name, shape in zip(self.names, shapes, strict=True):
            for field, first, own in zip(Shape._fields, shapes[0], shape, strict=True):
                if first != own:
                    raise ValueError(
                        f"makers: {field} of {name} is {own}, that of {self.names[0]} is {first}; nodes that share a "
                        "policy must have the same"
                    )


def _in_common(parts: Sequence[Parts], names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of the parts that all nodes have in the same shape; critics are shared as a whole or not.

    Raises:
        ValueError: The policy is not among them.
    """
    same = [name for name in parts[0] if all(name in one and one[name].shape == parts[0][name].shape for one in parts)]
    if "policy" not in same or ("obs" in same) != any("obs" in one for one in parts):
        sizes = ", ".join(f"{name} {one['policy'].shape[1]:,}" for name, one in zip(names, parts, strict=True))
        raise ValueError(f"makers: policies must have the same networks and obs_norm; they have parameters: {sizes}")
    if any(name in OF_CRITICS and name not in same for one in parts for name in one):
        same = [name for name in same if name not in OF_CRITICS]
    return tuple(same)
