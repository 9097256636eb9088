"""An environment as PettingZoo's `AECEnv`: its `ParallelView`, with agents that act in turn."""

from __future__ import annotations

from typing import Any

from pettingzoo.utils.conversions import parallel_to_aec_wrapper
from pettingzoo.utils.env import AECEnv
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from .core import Array
from .parallel import ParallelView


class TurnView(parallel_to_aec_wrapper[str, Array, Any]):
    """PettingZoo's conversion, which refuses a wrong action at once.

    By itself it tells of it only when the last agent has chosen, when it is too late to choose again.
    """

    env: ParallelView

    def step(self, action: Any) -> None:
        """Takes the action of the agent whose turn it is; the world moves when all have chosen.

        Raises:
            ValueError: It is not in the agent's action space or, of an agent that is gone, not None.
        """
        agent = self.agent_selection
        if not (self.terminations[agent] or self.truncations[agent]):
            self.env.check_action(agent, action)
        elif action is not None:
            raise ValueError(f"{agent} is gone and can do nothing any more: give None")
        super().step(action)


def in_turns(view: ParallelView) -> AECEnv[str, Array, Any]:
    """The view as an `AECEnv` that also refuses what comes in the wrong order, as PettingZoo's own do."""
    return OrderEnforcingWrapper(TurnView(view))
