"""The option of an environment that a rule of credit needs: asking for the credit switches it on."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import replace

from ..credit.rules import EXACT, NETWORKED
from .environments import Environments
from .run_config import ConfigError, RunConfig

OPTION = "counterfactual"
SHAPLEY = "shapley"
"""The kind of counterfactuals, and the rule of credit, that are Shapley values."""


def settled_counterfactual(
    config: RunConfig, envs: Environments, rules: Sequence[str]
) -> tuple[RunConfig, tuple[str, ...]]:
    """Lets the environment compute counterfactuals where the credit is made of them.

    Args:
        config: The run's config.
        envs: The environments.
        rules: The rules of credit that the algorithm has.

    Returns:
        The config, with the option of the environment switched on where it was "none", and remarks for the user.

    Raises:
        ConfigError: The environment has no such counterfactuals, or is asked for others; names what is possible.
    """
    credit, env = config.algo.options.get("credit"), config.env
    if credit not in EXACT:
        asked = env.options.get(OPTION, "none")
        note = (
            f"{OPTION} {asked}: nothing is learned from it with credit {credit}; it only says how good that credit is"
        )
        return config, (note,) if asked != "none" else ()
    hints = typing.get_type_hints(type(envs.options(env.name, env.task)))
    kinds = [kind for kind in typing.get_args(hints.get(OPTION)) if kind != "none"]
    fitting = [kind for kind in kinds if (kind == SHAPLEY) == (credit == SHAPLEY)]
    if not fitting:
        lacks = "gives no Shapley values" if kinds else "cannot say what its team would earn without an agent"
        work = [rule for rule in rules if rule not in (*EXACT, *NETWORKED) or (kinds and rule == "difference")]
        local = config.algo.options.get("critic") == "local"
        learned = [rule for rule in rules if rule in NETWORKED and not (rule == "coma" and local)]
        further = f"; with discrete actions also {', '.join(learned)}" if learned else ""
        raise ConfigError(
            "algo", f"credit is {credit!r}, and {env.name} {lacks}; rules that work there: {', '.join(work)}{further}"
        )
    asked = env.options.get(OPTION, "none")
    if asked in fitting:
        return config, ()
    if asked != "none":
        other = "difference" if credit == SHAPLEY else SHAPLEY
        mend = f", or take --algo.credit {other}" if asked in kinds and other in rules else ""
        raise ConfigError("env", f"{OPTION} is {asked!r}; with credit {credit!r} it is {' or '.join(fitting)}{mend}")
    options = {**env.options, OPTION: fitting[0]}
    note = f"credit {credit}: {env.name} computes counterfactuals ({OPTION} {fitting[0]})"
    return replace(config, env=replace(env, options=options)), (note,)
