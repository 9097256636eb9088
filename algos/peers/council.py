"""The companion of a session whose learners learn from each other.

After each episode it adds the returns of learners to their windows. After every `share_every` episodes, as soon as the
algorithm has learned from what it holds, learners exchange parameters; what came of an exchange is told one exchange
later: the learner's mean return since then, beside the one before. After every `distill_every` episodes it says anew
who learns from whom. After every `consensus_every` environment steps learners average their parameters, see
`averaging`. Agents that share parameters are one learner, which only teachers from disk can teach.

Axes: P learners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core import Algorithm, Array, Obs, VectorEnv
from ..nets.variation import Variation
from ..report.atomic import write_atomically
from ..training.companion import MakeEnv
from ..training.typed import fields
from .averaging import Averaging
from .config import PeersConfig
from .exchange import copy_of, move
from .ledger import Ledger
from .likeness import Likeness
from .permission import WORDS, Permission
from .returns import Returns, scaled
from .school import School
from .seac import Seac
from .sharing import FACTORS, NOBODY, best_rated, truncation, upper_bounds
from .teacher import Teacher, measured, of_learners, teachers_of
from .trial import Trials

PERMISSION = "permission.json"
"""The run folder's copy of a file that says who may learn from whom."""
SPARE = 1.5
"""Factor of the time until it is known what came of an exchange, since episodes may become longer."""
MOST_SHOWN = 16
"""Learners whose returns have a curve each."""
TOGETHER = "all agents"
"""Name of the one learner that agents are which share parameters."""


class Council:
    """Lets the learners of an algorithm exchange parameters; see `training.companion.Companion`."""

    def __init__(
        self,
        config: PeersConfig,
        algo: Any,
        agents: Sequence[str],
        permission: Permission,
        *,
        seed: int,
        ledger: Ledger | None,
        teachers: Sequence[Teacher] = (),
        make_env: MakeEnv | None = None,
    ) -> None:
        """Starts without any returns.

        Args:
            config: The options.
            algo: An algorithm of several learners, see `exchange.Learning`; or of one, if there are teachers.
            agents: (P,) names of the learners.
            permission: Who may learn from whom.
            seed: Seed of all choices by chance.
            ledger: Where every exchange is told; None: nowhere.
            teachers: Teachers from disk.
            make_env: Makes worlds in which they are measured, given their number; needed if there are any.
        """
        self._config, self._algo, self._agents = config, algo, tuple(agents)
        self._permission, self._ledger = permission, ledger
        self._returns = Returns(len(agents), config.window)
        self._taken = np.zeros(len(agents), np.int64)  # (P,) how often each was taken from
        self._rng = np.random.default_rng([seed, len(agents)])
        self.best: int | None = None
        self._done: dict[str, int] = {}  # episodes at the last look, by what is done
        self._open: list[dict[str, Any]] = []  # exchanges of which it is not known yet what came of them
        self._exchanges = self._helped = self._settled = self._returned = 0
        takes = config.share in ("ucb", "pbt")
        self._trials = Trials(algo, len(agents)) if takes and config.share_trial else None
        self._looked = 0.0  # progress of the run at the last exchange
        self._school = School(config, algo, agents, teachers) if config.distill or teachers else None
        self._seed, self._make_env = seed, make_env
        self.notes = tuple(teacher.line for teacher in teachers)
        if teachers:
            words = (
                f"each teacher plays {config.teacher_episodes} episodes first, which say how good it is in this task"
            )
            self.notes += (f"{words} (--peers.teacher-episodes)",)
        self._likeness = Likeness(algo, agents, None if self._school is None else self._school.tutor)
        self._seac = None
        if config.share == "seac":
            unheard = np.zeros((1, len(agents), len(agents)), bool)
            self._seac = Seac(config, algo, agents, permission.now(unheard))
        self._averaging = None
        if config.consensus != "none":
            unknown = config.permission == "adjacency"
            may = None if unknown else torch.from_numpy(permission.now(np.zeros((1, 0, 0), bool)))
            self._averaging = Averaging(config, algo, agents, may, seed=seed)
            self.notes += self._averaging.agreement.notes
        if config.share == "pbt" or config.distill_floor:
            algo.variation = Variation.equal(algo.learners, algo.config.gamma, algo.device)

    def after_step(self, steps: int, obs: Obs, returns: Array, *, learned: bool) -> dict[str, float]:
        """Counts returns and lets learners exchange parameters where that is due; see `Companion.after_step`."""
        if self._school is not None:
            self._school.begin(self._measured, tell=lambda line: self._write(steps, line))
        if len(returns):
            self._returns.add(of_learners(returns, len(self._agents)))
        if not learned:
            return {}
        self._likeness.remember(obs)
        told: dict[str, float] = {}
        if self._school is not None and self._due("distill", self._config.distill_every):
            may = self._permission.now(obs.adjacency)
            told |= self._school.look(self._returns, may, tell=lambda line: self._write(steps, line))
        due = self._due("share", self._config.share_every)
        if self._seac is not None and (due or not self._seac.begun):
            self._seac.look(self._permission.now(obs.adjacency), lambda line: self._write(steps, line))
        if due:
            may = self._permission.now(obs.adjacency)
            running = len(obs.alive)  # an episode in every world
            self._settle(steps, running)
            told |= self._told()
            late = self._too_late(running)
            if self._config.share == "ucb" and not late:
                self._share_by_bounds(steps, may, running)
            elif self._config.share == "pbt" and not late:
                self._breed(steps, may, running)
        if self._averaging is not None and self._passed("consensus", steps, self._config.consensus_every):
            may = torch.from_numpy(self._permission.now(obs.adjacency))
            told |= self._averaging.average(torch.from_numpy(obs.adjacency), may, lambda line: self._write(steps, line))
        return told

    def _measured(self, teacher: Teacher) -> tuple[Array, Array]:
        """Plays episodes with a teacher, see `teacher.measured`."""
        assert self._make_env is not None
        episodes = self._config.teacher_episodes
        return measured(teacher, self._make_env, episodes, seed=self._seed, learners=len(self._agents))

    def _too_late(self, running: int) -> bool:
        """Returns whether the run may be over before it is known what comes of an exchange now."""
        progress, before = self._algo.progress, self._looked
        self._looked = progress
        exchanges = 1.0 + running / self._config.share_every  # until enough whole episodes are played
        return self._trials is not None and 1.0 - progress < SPARE * exchanges * (progress - before)

    def _due(self, what: str, every: int) -> bool:
        """Returns whether a multiple of `every` episodes was reached since it was last done, and marks it as done."""
        return self._passed(what, self._returns.episodes, every)

    def _passed(self, what: str, now: int, every: int) -> bool:
        """Returns whether a count, `now`, has reached a multiple of `every` since it was last done."""
        before, self._done[what] = self._done.get(what, 0), now
        return now // every > before // every

    def _share_by_bounds(self, steps: int, may: Array, running: int) -> None:
        config, mean, believed = self._config, self._returns.mean, self._believed()
        rest = self._taken, self._returns.episodes, config.share_c
        bounds = np.stack([upper_bounds(scaled(np.where(row, mean, np.nan)), *rest) for row in believed])
        sources, refused = best_rated(bounds, mean, may, config.share_lambda, believed=believed)
        self._refuse(steps, refused)
        self._move(steps, sources, running, bounds)

    def _believed(self) -> Array:
        """Returns (P, P) bool; [j, i]: what i says of its return counts for j."""
        n = len(self._agents)
        return np.ones((n, n), bool) if self._trials is None else self._trials.believed

    def _breed(self, steps: int, may: Array, running: int) -> None:
        sources, refused = truncation(self._returns.mean, may, self._rng, believed=self._believed())
        self._refuse(steps, refused)
        options = self._algo.variation
        before = options.state_dict()
        self._move(steps, sources, running)
        for j, i in enumerate(sources):
            if i == NOBODY:
                continue
            pace, openness, horizon = self._rng.choice(FACTORS, 3)
            options.pace[j] = before["pace"][i] * pace
            options.openness[j] = before["openness"][i] * openness
            options.gamma[j] = 1.0 - ((1.0 - before["gamma"][i]) * horizon).clamp(min=1e-4, max=1.0)

    def _refuse(self, steps: int, refused: Array) -> None:
        for j, i in enumerate(refused):
            if i != NOBODY:
                self._write(steps, {"kind": "refused", "from": self._agents[i], "to": self._agents[j]})

    def _move(self, steps: int, sources: Array, running: int, bounds: Array | None = None) -> None:
        """Moves all that take parameters, at once: towards what the others were before anybody moved.

        Args:
            steps: Environment steps made so far.
            sources: (P,) see `best_rated`.
            running: Episodes of each learner that are not over.
            bounds: (P, P) ratings to be told, [j] as j sees them.
        """
        config, mean = self._config, self._returns.mean
        copies = {i: copy_of(self._algo, i) for i in sorted({*sources.tolist()} - {NOBODY})}
        takers = [(j, i) for j, i in enumerate(sources.tolist()) if i != NOBODY]
        if self._trials is not None:
            for j, i in takers:
                self._trials.begin(j, i, self._returns, whole=config.share_tau == 1.0)
        for j, i in takers:
            why = {} if bounds is None else {"bounds": [round(float(bound), 4) for bound in bounds[j]]}
            moved = move(self._algo, j, copies[i], tau=config.share_tau, moments=config.share_moments)
            self._exchanges += 1
            line = {"kind": config.share, "from": self._agents[i], "to": self._agents[j], **why}
            self._write(steps, {**line, "moved": moved, "before": float(mean[j]), "of_source": float(mean[i])})
            self._open.append({"at": steps, "learner": j, "from": i, "before": float(mean[j])})
            self._returns.forget(j, running)
        self._taken[sorted(copies)] += 1

    def _settle(self, steps: int, running: int) -> None:
        """Tells of earlier exchanges what came of them, and undoes those that have hurt."""
        mean, waiting = self._returns.mean, []
        if self._trials is not None:
            self._trials.recover()
        for exchange in self._open:
            learner, before = exchange["learner"], exchange["before"]
            after = float(mean[learner])
            if not np.isfinite(after):
                waiting.append(exchange)
                continue
            helped = after > before
            self._settled += 1
            self._helped += helped
            line = {"of": exchange["at"], "to": self._agents[learner], "before": before, "after": after}
            self._write(steps, {"kind": "outcome", **line, "helped": helped})
            if self._trials is None:
                continue
            verdict = self._trials.judge(learner, self._returns, running)
            self._returned += verdict.hurt
            if verdict.hurt or verdict.cheated:
                line |= {"from": self._agents[exchange["from"]], "trust": verdict.trust}
                self._write(steps, {"kind": "returned" if verdict.hurt else "distrusts", **line})
        self._open = waiting

    def _told(self) -> dict[str, float]:
        """Returns scalars for the next row."""
        mean = self._returns.mean
        found = {"best": np.nanmax(mean), "worst": np.nanmin(mean), "spread": np.nanstd(mean)}
        found |= {"exchanges": self._exchanges}
        if self._trials is not None:
            apart = ~np.eye(len(mean), dtype=bool)
            found |= {"returned": self._returned, "believed": self._trials.believed[apart].mean()}
        if self._settled:
            found["helped"] = self._helped / self._settled
        if len(mean) <= MOST_SHOWN:
            found |= {f"return_{agent}": value for agent, value in zip(self._agents, mean, strict=True)}
        return {f"peers/{name}": float(value) for name, value in found.items()}

    def _write(self, steps: int, line: Mapping[str, Any]) -> None:
        if self._ledger is not None:
            self._ledger.write(steps, line)

    def evaluated(self, of_agents: Array) -> dict[str, float]:
        """Finds the best learner by validation, and how much all differ; see `Companion.evaluated`."""
        if len(self._agents) == 1:
            return {}
        mean = of_agents.mean(axis=0)
        if np.isfinite(mean).all():
            self.best = int(mean.argmax())
        told = {"eval/return_of_best_learner": float(mean.max()), "eval/spread_of_learners": float(mean.std())}
        return told | self._likeness.measured()

    def pictures(self) -> dict[str, Array]:
        """Returns how much learners differ; see `Companion.pictures`."""
        return self._likeness.pictures()

    def state_dict(self) -> dict[str, Any]:
        """Returns everything, copied."""
        return {
            "returns": self._returns.state_dict(),
            "taken": self._taken.copy(),
            "rng": self._rng.bit_generator.state,
            "done": dict(self._done),
            "school": None if self._school is None else self._school.state_dict(),
            "seen": self._likeness.state_dict(),
            "seac": None if self._seac is None else self._seac.state_dict(),
            "open": [dict(line) for line in self._open],
            "best": self.best,
            "counts": [self._exchanges, self._helped, self._settled, self._returned],
            "trials": None if self._trials is None else self._trials.state_dict(),
            "looked": self._looked,
            **({} if self._averaging is None else {"averaging": self._averaging.state_dict()}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        self._returns.load_state_dict(state["returns"])
        self._taken = state["taken"].copy()
        self._rng.bit_generator.state = state["rng"]
        self._done = dict(state["done"])
        if self._school is not None:
            self._school.load_state_dict(state["school"])
        self._likeness.load_state_dict(state.get("seen", []))
        if self._seac is not None:
            self._seac.load_state_dict(state["seac"])
        if self._averaging is not None:
            self._averaging.load_state_dict(state["averaging"])
        self._open = [dict(line) for line in state["open"]]
        self.best = state["best"]
        self._exchanges, self._helped, self._settled, self._returned = (*state["counts"], 0)[:4]
        if "trials" in state:  # runs of before have none
            self._looked = state["looked"]
            if self._trials is not None:
                self._trials.load_state_dict(state["trials"])


def accompany(
    options: dict[str, Any],
    env: VectorEnv,
    algo: Algorithm,
    seed: int,
    folder: Path | None,
    steps: int,
    make_env: MakeEnv,
) -> Council | None:
    """Makes the companion of a run; see `training.companion.Accompany`."""
    config = PeersConfig(**fields(PeersConfig, options, "options"))
    learners, n = getattr(algo, "learners", 1), len(env.agents)
    agree = config.consensus != "none"
    if agree and n == 1:
        raise ValueError(
            f"consensus is {config.consensus!r}, but there is one agent only: give --env.n-copies, or a team"
        )
    among = (config.share != "none" or config.distill or agree) and n > 1  # they learn from each other
    if not among and not config.teacher:
        return None
    if among and learners == 1:
        what = f"share is {config.share!r}" if config.share != "none" else "distill is asked for"
        what = f"consensus is {config.consensus!r}" if agree else what
        raise ValueError(
            f"{what}, but the {n} agents share parameters, so there is nobody to learn from: give --algo.share none"
        )
    of_algo: Any = algo
    if of_algo.config.agent_id and (config.share in ("ucb", "pbt") or config.distill or agree):
        raise ValueError(
            "share, distill and consensus need learners that would do the same with the same parameters, and with "
            "agent_id they would not: leave agent_id out, or take share 'independent'"
        )
    teachers = teachers_of(config.teacher, env, of_algo.device, folder)
    ledger = None if folder is None else Ledger(folder, steps)
    how: dict[str, Any] = {"seed": seed, "ledger": ledger, "teachers": teachers, "make_env": make_env}
    if learners == 1:
        names = env.agents if n == 1 else (TOGETHER,)
        return Council(config, algo, names, Permission("all", names, ()), **how)
    permission = Permission(_kept(config.permission, folder), env.agents, env.groups)
    return Council(config, algo, env.agents, permission, **how)


def _kept(permission: str, folder: Path | None) -> str:
    """Returns the permission's rule, or its file as it was when the run began: the run folder keeps a copy."""
    if permission in WORDS or folder is None:
        return permission
    copy = folder / PERMISSION
    if not copy.exists() and Path(permission).is_file():
        write_atomically(copy, Path(permission).read_bytes())
    return str(copy) if copy.exists() else permission
