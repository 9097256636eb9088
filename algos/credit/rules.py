"""The rules that divide what a team earns among its agents, by name.

    individual   r_i, what the environment gives the agent
    team         G, the same for all
    difference   D_i = G - G without i's action, or without i: exact, from the environment
    shapley      phi_i, the mean of what i adds to every coalition of the others: exact or sampled, from the environment
    coma         G; the advantage is what the agent's action adds to the value of the joint action, over the mean of its
                 policy's actions
    learned      what the agent's action adds to G, as a network of state and joint action has learned it, over the mean
                 of its policy's actions

Sources: Wolpert & Tumer 2002, "Optimal payoff functions for members of collectives" (difference); Shapley 1953, "A
value for n-person games"; Foerster et al. 2018, "Counterfactual multi-agent policy gradients", equation 4 (coma);
Castellini et al. 2022, "Difference rewards policy gradients" (learned).

Axes: T time, B worlds, N agents; `...` any leading axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from ..core import Array, StepLike

Credit = Literal["individual", "team", "difference", "shapley", "coma", "learned"]
OffPolicyCredit = Literal["individual", "team", "difference"]
"""The rules that algorithms with a replay have."""

EXACT = ("difference", "shapley")
"""Rules that need the environment's counterfactuals."""
OF_TEAM = ("team", "coma")
"""Rules whose critic values what the team earns."""
NETWORKED = ("coma", "learned")
"""Rules that learn a number of the joint action; actions must be discrete."""


def check(credit: str, space: Box | Discrete, *, centralised: bool) -> None:
    """Refuses a rule that does not fit the actions or the critic.

    Args:
        credit: The rule.
        space: Actions of an agent.
        centralised: Whether critics see more than the agent does.

    Raises:
        ValueError: Says which rules fit.
    """
    if credit in NETWORKED and not isinstance(space, Discrete):
        raise ValueError(
            f"credit is {credit!r}, which compares discrete actions, and these are {space}: take individual or team, "
            "or difference or shapley where the environment can tell"
        )
    if credit == "coma" and not centralised:
        raise ValueError(
            "credit is 'coma', which needs a centralised critic: take critic 'central' or 'joint' (--algo mappo)"
        )


def rewards(credit: str, fields: Mapping[str, Tensor]) -> Tensor:
    """Returns the reward that each agent learns from, (..., N), in the environment's units.

    An agent does not see its team live on after its death, so death ends the team's reward for it too.

    Args:
        credit: The rule; for `learned` see `joint`.
        fields: `reward` (..., N), `team_reward` (...) and, where the rule needs it, `counterfactual` (..., N): what the
            team's reward would have been without the agent.
    """
    if credit in EXACT:
        return fields["team_reward"].unsqueeze(-1) - fields["counterfactual"]
    if credit in OF_TEAM:
        return fields["team_reward"].unsqueeze(-1).expand_as(fields["reward"])
    assert credit == "individual", credit  # `learned` needs a network
    return fields["reward"]


def credited(credit: str, step: StepLike) -> Array | None:
    """Returns `rewards` of a step of an environment, (B, N); None where it lacks a counterfactual that is needed."""
    if credit in EXACT and step.counterfactual is None:
        return None
    names = ("reward", "team_reward", "counterfactual")
    fields = {name: torch.as_tensor(getattr(step, name)) for name in names if getattr(step, name) is not None}
    return rewards(credit, fields).numpy()
