"""A run as a value: to JSON and back, from presets, and built into environment, algorithm and session."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import foreign_toys
import pytest
import torch
from streams import assert_same

import train
from algos import ALGOS
from algos.cli.new_run import chosen_config
from algos.cli.program import Program
from algos.training import builder, checkpoint, resuming, runfolder
from algos.training.presets import OURS
from algos.training.run_config import ConfigError, RunConfig, RunOptions
from algos.training.runfolder import RunFolderError
from envs import builder as environments

TABLES: dict[str, Any] = {"envs": environments, "algos": ALGOS}
TINY: dict[str, Any] = {"n_worlds": 4, "total_steps": 64, "eval_episodes": 2, "threads": 1, "quiet": True}


def config(algo: str = "mappo", **options: Any) -> RunConfig:
    settings = {"hidden": (8,), **({"rollout_steps": 4} if algo == "mappo" else {"warm_up": 8, "replay_size": 100})}
    env_options = {"max_steps": 4, **options.pop("env_options", {})}
    return builder.run_config(
        "spread", algo, **TABLES, env_options=env_options, algo_options=settings, **{**TINY, **options}
    )


@pytest.fixture(autouse=True)
def _threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("env", environments.ENVS)
@pytest.mark.parametrize("algo", ALGOS)
def test_a_config_goes_to_json_and_back(env: str, algo: str) -> None:
    one = builder.run_config(env, algo, **TABLES)
    assert RunConfig.from_plain(json.loads(json.dumps(one.to_plain()))) == one


def test_a_list_is_taken_for_a_tuple_as_json_has_them() -> None:
    given: dict[str, Any] = {"algo_options": {"hidden": [8, 8]}, **TABLES}
    one = builder.run_config("spread", "mappo", **given)
    assert one.algo.options["hidden"] == (8, 8)
    assert RunConfig.from_plain(json.loads(json.dumps(one.to_plain()))) == one


@pytest.mark.parametrize(("env", "algo"), [("spread", "mappo"), ("edge_market", "maddpg"), ("warehouse", "iddpg")])
def test_presets_are_those_of_the_command_line(env: str, algo: str) -> None:
    words = ["--env", env, "--algo", algo, "--seed", "3", "--threads", "1"]
    chosen = chosen_config(words, Program("train.py", ("python", "train.py"), environments))
    assert chosen == builder.run_config(env, algo, **TABLES, seed=3, threads=1)
    assert chosen.run.total_steps == OURS[env, algo].run["total_steps"]


def test_presets_name_environments_and_algorithms_that_there_are() -> None:
    """They stand there as text, which no import would notice."""
    assert {env for env, _ in OURS} <= set(environments.ENVS)
    assert {algo for _, algo in OURS} <= set(ALGOS)


@pytest.mark.parametrize(
    ("options", "part", "line"),
    [
        ({"env": "spred"}, "env", "unknown environment: 'spred'; .*did you mean 'spread'"),
        ({"task": "five"}, "env", "unknown task of spread: 'five'"),
        ({"env_options": {"n_agent": 3}}, "env", r"options\.n_agent is not known; did you mean n_agents\?"),
        ({"env_options": {"n_agents": -3}}, "env", "n_agents=-3"),
        ({"algo": "mapo"}, "algo", "'mapo' is no algorithm known here; known: mappo"),
        ({"algo_options": {"lrr": 3}}, "algo", r"options\.lrr is not known; did you mean lr\?"),
        ({"algo_options": {"lr": -3.0}}, "algo", "lr is -3.0"),
        ({"total_step": 3}, "run", r"total_step is not known; did you mean total_steps\?"),
        ({"total_steps": 0}, "run", "total_steps is 0; allowed are 1 to 1e15"),
    ],
)
def test_a_mistake_names_the_part_to_blame_in_one_line(options: dict[str, Any], part: str, line: str) -> None:
    given = {"env": "spread", "algo": "mappo", **options}
    with pytest.raises(ConfigError, match=line) as caught:
        builder.run_config(given.pop("env"), given.pop("algo"), **TABLES, **given)
    assert caught.value.part == part
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("plain", "line"),
    [
        ({}, "env.name is missing"),
        ({"env": {"name": "spread"}, "algo": {"name": "mappo"}, "run": {"seed": "x"}}, "run.seed is 'x'; expected"),
        ({"env": {"name": "spread", "task": 3}, "algo": {"name": "mappo"}}, "env.task is 3; expected a text or null"),
        ({"env": {"name": "spread"}, "algo": {"nam": "mappo"}}, r"algo.nam is not known; did you mean name\?"),
        ({"env": {"name": "spread"}, "algo": {"name": "mappo"}, "rum": {}}, r"rum is not known; did you mean run\?"),
    ],
)
def test_plain_data_that_is_no_config_is_refused(plain: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        RunConfig.from_plain(plain)


@pytest.mark.parametrize("algo", ["mappo", "maddpg"])
def test_a_built_session_is_the_run_of_the_command(tmp_path: Path, algo: str) -> None:
    """The same config.json but for times, the same bytes, and it goes on."""
    words = ["--env", "spread", "--env.max-steps", "4", "--algo", algo, "--algo.hidden", "8", "--n-worlds", "4"]
    words += ["--total-steps", "64", "--eval-episodes", "2", "--threads", "1", "--quiet", "--log-every", "0"]
    words += ["--algo.rollout-steps", "4"] if algo == "mappo" else ["--algo.warm-up", "8", "--algo.replay-size", "100"]
    assert train.main([*words, "--log-dir", str(tmp_path), "--run-name", "command"]) == 0
    names = {"log_dir": str(tmp_path), "run_name": "command", "log_every": 0}
    with builder.session(config(algo, **names), tmp_path / "built", **TABLES) as session:
        while session.advance(20):
            pass
        session.finish()
    made = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("command", "built")]
    for one in made:
        assert one.pop("created")
        assert one.pop("code")
    assert made[0] == made[1]
    contents = [checkpoint.load_latest(tmp_path / name / "checkpoints")[1] for name in ("command", "built")]
    for one in contents:
        del one["run"]["seconds"]
    assert_same(contents[0], contents[1])
    with resuming.resume(tmp_path / "built", **TABLES, total_steps=96, quiet=True) as session:
        assert session.steps == 64
        assert session.advance(1_000) == 32
    assert runfolder.read_config(tmp_path / "built").resumed[0]["steps"] == 64


def test_what_a_config_leaves_open_is_chosen(tmp_path: Path) -> None:
    setup = builder.set_up(config(n_worlds=0, threads=0), environments, ALGOS)
    assert setup.config.run.n_worlds == environments.WORLDS
    assert setup.config.run.threads >= 1
    assert setup.config.algo.options["obs_norm"] == "off"
    assert setup.record.config() == setup.config


def test_an_environment_of_others_is_built_from_text() -> None:
    given: dict[str, Any] = {"env_options": {"n": 3, "n_workers": 0}, "algo_options": {"hidden": (8,)}}
    one = builder.run_config("foreign_toys:Scripted", "mappo", **TABLES, **given)
    assert one.env.options["n"] == "3", "constructors of others get text"
    assert one.env.options["n_workers"] == 0
    made = builder.environment(one.env, environments)
    assert len(made.vector(2).agents) == 3
    assert made.heuristic is None
    agents = made.vector(2).agents[::-1]
    assert builder.environment(one.env, environments, agents=agents).vector(2).agents == agents
    assert foreign_toys.Scripted.__name__ == "Scripted"


def test_a_changed_environment_is_refused_and_the_folder_let_go(tmp_path: Path) -> None:
    builder.session(config(), tmp_path / "run", **TABLES).close()
    record = runfolder.read_config(tmp_path / "run")
    options = {**record.env.options, "n_agents": 4}
    env = dataclasses.replace(record.env, options=options)
    runfolder.write_config(tmp_path / "run", dataclasses.replace(record, env=env))
    for _ in range(2):  # the lock was released, too
        with pytest.raises(ConfigError, match="the environment has changed: its agents are"):
            resuming.resume(tmp_path / "run", **TABLES)
    with pytest.raises(RunFolderError, match="there is no such folder"):
        resuming.resume(tmp_path / "no", **TABLES)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RunFolderError, match="is not a run folder"):
        resuming.resume(tmp_path, **TABLES)
    assert sorted(tmp_path.iterdir()) == before, "no lock is left in a folder that is no run"


def test_a_run_option_is_one_field() -> None:
    """Every field of `RunOptions` is an option of the command, stands in config.json and is read back."""
    plain = config().to_plain()["run"]
    assert set(plain) == {field.name for field in dataclasses.fields(RunOptions)}
