"""Parameters on trial: what others say of their returns is believed only as far as it comes true.

A learner that takes parameters keeps what it was until it has played episodes of its own since. Then

- it goes back to what it was, if its return has surely fallen;
- it trusts the learner that it took from less, if its return has surely fallen, or if it has become that learner and
  yet surely earns less than that one said that it earns.

Surely means by more than two standard errors of the difference. Trust is a number from 0 to 1 for each pair, because
what others say of third ones may be as false as what they say of themselves. It is quartered where it is disappointed,
and grows by a twentieth from exchange to exchange. While it is below a half, nothing that the other says counts: not
half of it either, since half of a great lie is one, too.

Axes: P learners, W episodes remembered of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..core import Array
from .exchange import Copy, copy_of, move
from .returns import Returns

LOST, REGAINED = 0.25, 1.05
"""Factors of trust: where it is disappointed, and from exchange to exchange."""
BELIEVED = 0.5
"""Least trust in a learner whose returns count."""
SURE = 2.0
"""Standard errors of a difference by which it must exceed zero."""


class Verdict(NamedTuple):
    """What came of a trial."""

    hurt: bool  # the learner has gone back to what it was
    cheated: bool  # it has not got what it was promised
    trust: float  # in the learner that it took from, by now


@dataclass
class Trial:
    """What a learner was, and what it was promised."""

    source: int
    own: Copy
    options: dict[str, Tensor] | None  # of the learner, where learners differ in options
    window: Array  # (W,) its returns
    before: tuple[float, float]  # mean return and its standard error
    promised: tuple[float, float]  # of the source; infinitely unsure where the learner has not become the source


class Trials:
    """Keeps what learners were, judges what came of their exchanges, and says who trusts whom."""

    def __init__(self, algo: Any, learners: int) -> None:
        """Begins with everybody trusting everybody.

        Args:
            algo: The algorithm, see `exchange.Learning`.
            learners: P.
        """
        self._algo = algo
        self.trust = np.ones((learners, learners))
        """(P, P); [j, i]: how much j trusts what i says."""
        self._open: dict[int, Trial] = {}  # by learner

    @property
    def believed(self) -> Array:
        """Returns (P, P) bool; [j, i]: what i says counts for j."""
        return self.trust >= BELIEVED

    def begin(self, learner: int, source: int, returns: Returns, *, whole: bool) -> None:
        """Keeps what a learner is, before it takes parameters.

        Args:
            learner: It.
            source: The one that it takes from.
            returns: Of all learners, as they say.
            whole: Whether it becomes the other, so that it should earn as much.
        """
        mean, error, varied = returns.mean, returns.error, self._algo.variation
        options = None if varied is None else {name: value[learner].clone() for name, value in vars(varied).items()}
        self._open[learner] = Trial(
            source=source,
            own=copy_of(self._algo, learner),
            options=options,
            window=returns.of(learner),
            before=(float(mean[learner]), float(error[learner])),
            promised=(float(mean[source]), float(error[source]) if whole else np.inf),
        )

    def judge(self, learner: int, returns: Returns, running: int) -> Verdict:
        """Ends the trial of a learner whose return since then is known.

        Args:
            learner: It.
            returns: Of all learners; if it goes back, its own become those of then.
            running: Episodes that it has begun as what it is now.
        """
        trial = self._open.pop(learner)
        mean, error = float(returns.mean[learner]), float(returns.error[learner])
        hurt, cheated = (
            said - mean > SURE * float(np.hypot(error, unsure)) for said, unsure in (trial.before, trial.promised)
        )
        if hurt or cheated:
            self.trust[learner, trial.source] *= LOST
        if hurt:
            move(self._algo, learner, trial.own)
            for name, value in (trial.options or {}).items():
                getattr(self._algo.variation, name)[learner] = value
            returns.recall(learner, trial.window, running)
        return Verdict(hurt, cheated, float(self.trust[learner, trial.source]))

    def recover(self) -> None:
        """Lets trust grow, once an exchange."""
        self.trust = np.minimum(REGAINED * self.trust, 1.0)

    def state_dict(self) -> dict[str, Any]:
        """Returns everything, copied: tensors, arrays and plain data."""
        opened = {}
        for learner, trial in self._open.items():
            parts = {name: [part.clone() for part in some] for name, some in trial.own._asdict().items()}
            options = None if trial.options is None else {name: one.clone() for name, one in trial.options.items()}
            said = {"before": list(trial.before), "promised": list(trial.promised)}
            opened[learner] = {"source": trial.source, "own": parts, "options": options, **said}
            opened[learner]["window"] = trial.window.copy()
        return {"trust": self.trust.copy(), "open": opened}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        device: torch.device = self._algo.device
        self.trust, self._open = state["trust"].copy(), {}
        for learner, one in state["open"].items():
            own = Copy(**{name: [part.to(device) for part in some] for name, some in one["own"].items()})
            options = one["options"]
            self._open[learner] = Trial(
                source=one["source"],
                own=own,
                options=None if options is None else {name: value.to(device) for name, value in options.items()},
                window=one["window"].copy(),
                before=(one["before"][0], one["before"][1]),
                promised=(one["promised"][0], one["promised"][1]),
            )
