"""Help and hints: what a newcomer types first."""

from __future__ import annotations

import re

import pytest

import envs
import train
from algos import ALGOS
from algos.cli.hints import suggestions
from algos.cli.new_run import chosen_config
from algos.cli.options import spread_lists, with_options
from algos.cli.program import Program
from algos.training.run_config import RunConfig, RunOptions
from envs import builder


def chosen(argv: list[str]) -> RunConfig:
    return chosen_config(argv, Program("train.py", ("python", "train.py"), builder))


SPREAD = ["--env", "spread", "--algo", "mappo"]


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        ([*SPREAD, "--lr", "3"], "--algo.lr"),
        (["--lr", "3"], "--algo.lr"),
        ([*SPREAD, "--gamma", "0.9"], "--algo.gamma"),
        ([*SPREAD, "--algo.learning-rate", "3"], "--algo.lr"),
        ([*SPREAD, "--algo.learning_rate=3"], "--algo.lr"),
        ([*SPREAD, "--learning-rte", "3"], "--algo.lr"),
        (["--env", "spread", "--algo", "maddpg", "--algo.lr", "3"], "--algo.policy-lr or --algo.critic-lr"),
        ([*SPREAD, "--batch-size", "3"], "--algo.minibatches"),
        (["--env", "spread", "--algo", "maddpg", "--batch-size", "3"], "--algo.batch"),
        (["--env", "spread", "--algo", "maddpg", "--algo.buffer-size", "3"], "--algo.replay-size"),
        ([*SPREAD, "--total-timesteps", "3"], "--total-steps"),
        ([*SPREAD, "--num-envs", "3"], "--n-worlds"),
        ([*SPREAD, "--task", "x"], "--env.task"),
        ([*SPREAD, "--n-agents", "3"], "--env.n-agents"),
        (["--env", "warehouse", "--algo", "mappo", "--env.n-agents", "3"], "--env.n-robots"),
        ([*SPREAD, "--env.max-cycles", "3"], "--env.max-steps"),
        ([*SPREAD, "--algo.seed", "3"], "--seed"),
        ([*SPREAD, "--sed", "3"], "--seed"),
        ([*SPREAD, "--no-anneal"], "--algo.no-anneal"),
        ([*SPREAD, "--algo.lrr", "3"], "--algo.lr"),
    ],
)
def test_a_wrong_option_finds_the_one_that_was_meant(
    argv: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(argv) == 2
    assert re.search(rf"unknown option \S+ \(did you mean {re.escape(meant)}\?\)\n", capsys.readouterr().err)


@pytest.mark.parametrize("option", ["--xyzzy", "--algo.foo", "--wandb-project", "--env.colour", "--q"])
def test_nothing_is_suggested_where_nothing_is_near(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main([*SPREAD, option, "3"]) == 2
    assert capsys.readouterr().err == f"train.py: unknown option {option}; --help lists all\n"


def test_an_option_of_another_algorithm_says_whose_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--env", "spread", "--algo", "maddpg", "--algo.clip-coef", "3"]) == 2
    assert "--algo.clip-coef is an option of mappo, ippo only" in capsys.readouterr().err


def test_a_command_without_options_prints_a_short_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main([]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("usage: python train.py --env ENV --algo ALGO")
    assert len(said.out.splitlines()) < 15
    assert all(name in said.out for name in (*envs.ENVS, *ALGOS, "--resume", "--evaluate", "--help"))


def test_help_says_what_is_required_and_nothing_of_the_house(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        train.main(["--help"])
    assert ended.value.code == 0
    shown = re.sub(r"[│\s]+", " ", capsys.readouterr().out)
    assert re.search(r"--env \{warehouse[^(]*\(required\)", shown)
    assert re.search(r"--algo \{mappo[^(]*\(required\)", shown)
    assert "--algo.lr FLOAT" not in shown, "options of an algorithm that nobody chose"
    assert "only file" not in shown


@pytest.mark.parametrize("words", [["64,32"], ["[64,32]"], ["[64,", "32]"], ["(64,", "32)"], ["64", "32"], ["64, 32"]])
def test_lists_are_read_as_people_write_them(words: list[str]) -> None:
    config = chosen([*SPREAD, "--algo.hidden", *words, "--seed", "3"])
    assert config.algo.options["hidden"] == (64, 32)
    joined = f"--algo.hidden={' '.join(words)}"
    assert chosen([*SPREAD, joined]).algo.options["hidden"] == (64, 32)


def test_only_lists_are_spread() -> None:
    argv = ["--run.name", "a,b", "--algo.gamma", "0,9"]
    assert spread_lists({"run": RunOptions()}, argv, ("run",)) == argv


def test_names_in_messages_become_options() -> None:
    config = envs.config("intersection")
    line = "entry_speed=9 is above speed_limit=5, flow=3: the flow of cars"
    assert with_options(line, config, "--env.", ["--env.speed_limit", "5"]) == (
        "--env.entry-speed=9 is above --env.speed_limit=5, --env.flow=3: the flow of cars"
    )


def test_suggestions_prefer_the_part_that_was_named() -> None:
    known = ["--env.load", "--algo.load", "--load"]
    assert suggestions("--algo.load", known)[0] == "--algo.load"
    assert suggestions("--enviroment", ["--env", "--algo"]) == ["--env"]
    assert suggestions("--nothing-like-it", known) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--resume", "x", "--algo.lr", "3"], "--algo.lr is an option of a new run only; --help lists"),
        (["--evaluate", "x", "--n-worlds", "3"], "--n-worlds is an option of a new run only; --help lists"),
        (["--env", "spread", "--algo", "mappo", "-lr", "3"], "unknown option -lr (did you mean --algo.lr?)"),
        (["--env", "spread", "--algo", "mappo", "-seed", "3"], "unknown option -seed (did you mean --seed?)"),
        (["--env", "spread", "--algo", "mappo", "-x"], "unknown option -x; --help lists all"),
    ],
)
def test_what_is_known_elsewhere_or_has_one_dash_is_said_so(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(words) == 2
    assert said in capsys.readouterr().err
