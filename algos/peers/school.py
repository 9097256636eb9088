"""Says who teaches whom, and how much: peer policy distillation over a run.

Axes: P learners, T teachers from disk; in arrays of both the T follow the P.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..core import Array
from .config import PeersConfig
from .lead import SURE, leads, leads_over, trusted, weights
from .returns import Returns
from .teacher import Teacher
from .tutor import Tutor

Tell = Callable[[Mapping[str, Any]], None]
Measure = Callable[[Teacher], tuple[Array, Array] | None]
"""Returns the mean return of a teacher in the place of each learner, and its standard error, (P,) each; None if it was
given up because the run is to stop."""
KEPT = ("weights", "trust", "away", "refused")
"""Arrays of its state."""
LIVELY = 2.0
"""Factor of what keeps choices open, while learners are too much alike."""


class School:
    """Appoints the teachers of all learners, look by look."""

    def __init__(self, config: PeersConfig, algo: Any, agents: Sequence[str], teachers: Sequence[Teacher] = ()) -> None:
        """Gives the algorithm a tutor.

        Args:
            config: The options.
            algo: An algorithm of several learners, see `exchange.Learning`; or of one, if there are teachers from disk.
            agents: (P,) names of the learners.
            teachers: (T,) teachers from disk.
        """
        surer = config.distill_states == "surer"
        if surer and not hasattr(algo, "critic"):
            raise ValueError("distill_states is 'surer', which works with MAPPO and IPPO only: give 'all'")
        if surer and len(algo.critic_adam.own) != algo.learners:
            raise ValueError(
                f"distill_states is 'surer', but with credit {algo.config.credit!r} all learners have one critic: give "
                "'all', or another --algo.credit"
            )
        if surer and algo.policy.obs_norm is not None and algo.critic.kind != "local" and not algo.critic.reads_state:
            raise ValueError(
                "distill_states is 'surer', but critics read what all observe, each in units of its own learner "
                "(obs_norm): give 'all', or local critics"
            )
        self._config, self._algo = config, algo
        self._agents = (*agents, *(teacher.name for teacher in teachers))
        self._teachers = tuple(teachers)
        self.tutor = self._tutor = algo.tutor = Tutor(algo, surer=surer, teachers=teachers)
        n, every = len(agents), len(self._agents)
        self._floor = config.distill_floor if n > 1 else 0.0
        self._weights = np.zeros((n, every))  # [j, i]: how much j learns from i
        self._trust = np.ones((n, every))  # [j, i]: how much j trusts i
        self._episodes = 0  # at the last look
        self._away = np.full(n, np.nan)  # divergence then from teachers that stayed
        self._refused = np.zeros((n, every), bool)  # [j, i]: i would teach j, were it allowed to
        self._known: tuple[Array, Array] | None = None  # returns of teachers from disk and their errors, (P, T) each

    def begin(self, measure: Measure, *, tell: Tell) -> bool:
        """Tells which teachers from disk there are and measures how good they are, unless that has been done.

        Args:
            measure: Plays episodes with a teacher.
            tell: Writes a line of the ledger.

        Returns:
            Whether it is known now; if not, all is left to the next call.
        """
        if self._known is not None or not self._teachers:
            return True
        found = []
        for teacher in self._teachers:
            one = measure(teacher)
            if one is None:
                return False
            found.append(one)
        for teacher, one in zip(self._teachers, found, strict=True):
            tell({"kind": "matched", "from": teacher.name, **teacher.match.told})
            mean, error = (float(numbers.mean()) for numbers in one)
            episodes = self._config.teacher_episodes
            tell({"kind": "measured", "from": teacher.name, "episodes": episodes, "return": mean, "error": error})
        means, errors = zip(*found, strict=True)
        self._known = np.stack(means, axis=1), np.stack(errors, axis=1)
        return True

    def look(self, returns: Returns, may: Array, *, tell: Tell) -> dict[str, float]:
        """Appoints teachers by what is known now.

        Args:
            returns: Of all learners.
            may: (P, P) bool; [j, i]: j may learn from i. From teachers on disk all may.
            tell: Writes a line of the ledger.

        Returns:
            Scalars for the next row.
        """
        config, mean = self._config, returns.mean
        of = np.tile(mean, (len(mean), 1))  # (P, P + T) of each source in the place of each learner
        away = self._tutor.divergence.numpy().copy()
        gain, unsure = returns.gain(max(returns.episodes - self._episodes, 2))
        taught, merit = self._weights > 0, self._tutor.merit.numpy()
        self._trust = trusted(self._trust, taught, gain, unsure, self._away - away, merit)
        ahead, how = leads(mean, returns.error), {"most": config.distill_teachers, "strength": config.distill_strength}
        wish = ~np.eye(len(mean), dtype=bool)
        if not config.distill:
            may = wish = np.zeros_like(wish)
        if self._known is not None:
            ahead = np.hstack([ahead, leads_over(*self._known, mean, returns.error)])
            of = np.hstack([of, self._known[0]])
            may, wish = (np.hstack([rule, np.ones(self._known[0].shape, bool)]) for rule in (may, wish))
        rules = may, wish
        wanted, wished = (weights(ahead, rule, self._trust, returns.scale, **how) for rule in rules)
        left_alone = np.zeros(len(mean), bool)
        if config.distill_when == "plateau":
            left_alone = gain > SURE * unsure
        alike = self._tutor.mean_divergence() if self._floor else None
        if self._floor:
            lively = alike is not None and alike < self._floor
            self._algo.variation.openness.fill_(LIVELY if lively else 1.0)
            left_alone |= lively
        wanted[left_alone], wished[left_alone] = 0.0, 0.0
        self._tell(wanted, (wished > 0) & ~may, of, mean, tell)
        others = ((wanted > 0) != (self._weights > 0)).any(axis=1)  # other teachers than before
        self._weights, self._away, self._episodes = wanted, np.where(others, np.nan, away), returns.episodes
        self._tutor.appoint(torch.from_numpy(wanted).float())
        told = {"weight": float(wanted.sum(1).mean()), "taught": float((wanted.sum(1) > 0).mean())}
        told |= {"trust": float(self._trust[rules[1]].mean())}
        if np.isfinite(away).any():
            told["divergence_from_teachers"] = float(np.nanmean(away))
        for name, lead in zip(self._agents[len(mean) :], ahead[:, len(mean) :].T, strict=True):
            if np.isfinite(lead).all():
                told[f"lead_of_{name}"] = float(lead.mean())
        if alike is not None:
            told["divergence"] = alike
        return {f"peers/{name}": value for name, value in told.items()}

    def _tell(self, wanted: Array, refused: Array, of: Array, mean: Array, tell: Tell) -> None:
        """Tells of teachers that begin or end, and of those that begin to be refused."""
        for j, i in np.argwhere((wanted > 0) != (self._weights > 0)):
            line = {"kind": "teaches" if wanted[j, i] > 0 else "stops", "from": self._agents[i], "to": self._agents[j]}
            tell({**line, "weight": float(wanted[j, i]), "before": float(mean[j]), "of_source": float(of[j, i])})
        for j, i in np.argwhere(refused & ~self._refused):
            tell({"kind": "refused", "from": self._agents[i], "to": self._agents[j]})
        self._refused = refused

    def state_dict(self) -> dict[str, Any]:
        """Returns everything, copied."""
        state: dict[str, Any] = {name: getattr(self, f"_{name}").copy() for name in KEPT}
        seen = None if self._tutor.seen is None else list(self._tutor.seen)
        of_tutor = {"divergence": self._tutor.divergence.clone(), "merit": self._tutor.merit.clone(), "seen": seen}
        state |= {"episodes": self._episodes, **of_tutor}
        return state if self._known is None else {**state, "known": [numbers.copy() for numbers in self._known]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`.

        Raises:
            ValueError: It is of another number of teachers.
        """
        if state["weights"].shape != self._weights.shape:
            raise ValueError(
                f"weights of {state['weights'].shape} learners x teachers do not fit {self._weights.shape}"
            )
        known = state.get("known")
        self._known = None if known is None else (known[0].copy(), known[1].copy())
        for name in KEPT:
            setattr(self, f"_{name}", state[name].copy())
        self._episodes = state["episodes"]
        self._tutor.divergence = state["divergence"].clone()
        if "merit" in state:  # runs of before trust all teachers alike
            self._tutor.merit = state["merit"].clone()
        else:
            self._trust = np.repeat(self._trust[:, None], len(self._trust), axis=1)
        if state["seen"] is not None:
            device = self._algo.device
            self._tutor.seen = tuple(None if field is None else field.to(device) for field in state["seen"])
        self._tutor.appoint(torch.from_numpy(self._weights).float())
