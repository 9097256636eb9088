"""An environment as PettingZoo's `AECEnv`: its `ParallelView`, with agents that act in turn."""

from __future__ import annotations

from typing import Any

from pettingzoo.utils.conversions import parallel_to_aec_wrapper
from pettingzoo.utils.env import AECEnv
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from .core import Array
from .parallel import ParallelView


class TurnView(parallel_to_aec_wrapper[str, Array, Any]):
    """PettingZoo's conversion, with each action checked when it is given.

    The conversion alone raises only after the last agent has acted, when the agent at fault can no longer correct it.
    """

    env: ParallelView

    def step(self, action: Any) -> None:
        """Takes the action of the agent whose turn it is; the world advances after the last agent's action.

        Raises:
            ValueError: The action is not in the agent's action space, or not None where the agent has terminated or was
                truncated.
        """
        agent = self.agent_selection
        if not (self.terminations[agent] or self.truncations[agent]):
            self.env.check_action(agent, action)
        elif action is not None:
            raise ValueError(f"{agent} has terminated or was truncated and cannot act any more: give None")
        super().step(action)


def in_turns(view: ParallelView) -> AECEnv[str, Array, Any]:
    """Returns the view as an `AECEnv` that also refuses calls in the wrong order, as PettingZoo's own do."""
    return OrderEnforcingWrapper(TurnView(view))
