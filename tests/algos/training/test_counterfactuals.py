"""Asking for a rule of credit switches on what it needs of the environment, or says what works there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import train
from algos import ALGOS
from algos.training.builder import run_config, set_up
from algos.training.run_config import ConfigError
from envs import builder


def made(env: str, algo: str = "mappo", env_options: dict[str, Any] | None = None, **options: Any) -> Any:
    """Returns the setup of a small run."""
    config = run_config(
        env,
        algo,
        envs=builder,
        algos=ALGOS,
        env_options=env_options,
        algo_options={"hidden": (8,), **options},
        n_worlds=2,
        threads=1,
    )
    return set_up(config, builder, ALGOS)


@pytest.mark.parametrize(
    ("env", "kind"),
    [("spread", "absent"), ("rovers", "absent"), ("warehouse", "stop"), ("signals", "hold")],
)
def test_difference_switches_counterfactuals_on(env: str, kind: str) -> None:
    setup = made(env, credit="difference")
    assert setup.config.env.options["counterfactual"] == kind
    assert setup.record.env.options["counterfactual"] == kind
    assert setup.env.reset(0).counterfactual is not None
    assert f"credit difference: {env} computes counterfactuals (counterfactual {kind})" in setup.notes


def test_a_choice_is_kept() -> None:
    setup = made("warehouse", env_options={"counterfactual": "absent"}, credit="difference")
    assert setup.config.env.options["counterfactual"] == "absent"
    assert not any("counterfactual" in note for note in setup.notes)


@pytest.mark.parametrize("credit", ["individual", "team", "coma", "learned"])
def test_other_rules_change_nothing(credit: str) -> None:
    assert made("spread", credit=credit).config.env.options["counterfactual"] == "none"


@pytest.mark.parametrize(
    ("algo", "rules"),
    [
        ("mappo", "individual, team; with discrete actions also coma, learned"),
        ("ippo", "individual, team; with discrete actions also learned"),
        ("maddpg", "individual, team"),
    ],
)
def test_without_counterfactuals_it_says_what_works(algo: str, rules: str) -> None:
    with pytest.raises(ConfigError, match=f"credit is 'difference', and whispers cannot say.*work there: {rules}$"):
        made("whispers", algo, credit="difference")


@pytest.mark.parametrize(
    ("kind", "credit", "mend"),
    [("shapley", "difference", "it is absent, or take --algo.credit shapley"),
     ("absent", "shapley", "it is shapley, or take --algo.credit difference")],
)  # fmt: skip
def test_a_kind_that_does_not_fit_the_rule_is_refused(kind: str, credit: str, mend: str) -> None:
    with pytest.raises(ConfigError, match=mend):
        made("rovers", env_options={"counterfactual": kind}, credit=credit)


def test_counterfactuals_need_not_be_shapley_values() -> None:
    with pytest.raises(ConfigError, match=r"signals gives no Shapley values; rules that work there: .*difference"):
        made("signals", credit="shapley")


def test_it_is_a_line_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--env", "whispers", "--algo", "mappo", "--algo.credit", "difference", "--log-dir", str(tmp_path)]
    assert train.main(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "rules that work there: individual, team; with discrete actions also coma, learned" in said
    assert not list(tmp_path.iterdir())


def test_the_old_name_of_the_option_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--env", "spread", "--algo", "mappo", "--algo.reward", "team"]) == 2
    assert "--algo.credit" in capsys.readouterr().err
