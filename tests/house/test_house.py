"""The house rules: tables that equal folders, and what the house expects of an environment."""

from __future__ import annotations

import dataclasses
import importlib
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pettingzoo
import pytest

import envs
from algos import ALGOS

ROOT = Path(__file__).parents[2]
HOUSE = {
    "__init__",
    "adapters",
    "aec",
    "builder",
    "channel",
    "conformance",
    "consensus",
    "core",
    "foreign",
    "kit",
    "parallel",
    "roads",
    "vector",
    "window",
}
"""Modules and folders of envs/ that are no environments."""


def test_kernels_are_compiled_so_that_both_spellings_can_cache_them() -> None:
    for path in sorted((ROOT / "envs").rglob("*.py")):
        if path.name != "kernels.py":
            text = path.read_text(encoding="utf-8")
            assert "njit" not in text, f"{path.relative_to(ROOT)}: use envs.kit.kernels.kernel, which says why"


def test_a_change_of_any_module_compiles_kernels_anew(tmp_path: Path) -> None:
    """Numba checks the file of a kernel, but not the files of the kernels that it calls."""
    shutil.copytree(ROOT / "envs", tmp_path / "envs", ignore=shutil.ignore_patterns("__pycache__"))
    code = "from envs.signals import traffic; print(traffic.drive.py_func.__qualname__)"
    names = set()
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        names.add(done.stdout)
        with (tmp_path / "envs" / "signals" / "following.py").open("a", encoding="utf-8") as called:
            called.write("# changed\n")
    assert len(names) == 2


def test_every_environment_is_in_the_table() -> None:
    found = {path.stem for path in (ROOT / "envs").glob("*.py")}
    found |= {path.parent.name for path in (ROOT / "envs").glob("*/__init__.py")}
    assert found == HOUSE | set(envs.ENVS)


def test_every_algorithm_is_in_the_table() -> None:
    files = {path.stem for path in (ROOT / "algos").glob("*.py")} - {"__init__", "core"}
    assert files == {entry.algorithm.__module__.removeprefix("algos.") for entry in ALGOS.values()}


def test_the_wheel_holds_every_package() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    found = {
        ".".join(("coterie", *path.parent.relative_to(ROOT).parts))
        for package in ("envs", "algos")
        for path in (ROOT / package).rglob("__init__.py")
    }
    found.add("coterie")
    assert set(config["packages"]) == found


@pytest.mark.parametrize("name", sorted(envs.ENVS))
def test_an_environment_offers_what_the_house_expects(name: str) -> None:
    module = importlib.import_module(f"envs.{name}")
    assert envs.ENVS[name] == f"coterie/{name}_v{module.VERSION}"
    assert envs.make(name).name == f"{name}_v{module.VERSION}"
    assert module.__doc__
    assert dataclasses.is_dataclass(module.Config)
    assert dataclasses.fields(module.Config)[0].name != "task"
    assert module.DEFAULT_TASK in module.TASKS
    assert envs.config(name) == module.TASKS[module.DEFAULT_TASK]
    assert isinstance(module.parallel_env(max_cycles=3), pettingzoo.ParallelEnv)
    assert isinstance(module.env(max_cycles=3), pettingzoo.AECEnv)
    assert isinstance(module.raw_env(max_cycles=3), pettingzoo.AECEnv)


@pytest.mark.parametrize("name", sorted(envs.ENVS))
def test_pettingzoo_makes_it_by_name(name: str) -> None:
    parallel: Any = pettingzoo.make("parallel", envs.ENVS[name], reward="team", max_cycles=7)
    assert parallel.env.max_steps == 7
    assert isinstance(parallel, pettingzoo.ParallelEnv)
    assert isinstance(pettingzoo.make("aec", envs.ENVS[name]), pettingzoo.AECEnv)


@pytest.mark.parametrize("name", sorted(envs.ENVS))
def test_the_heuristic_acts_within_the_rules(name: str) -> None:
    importlib.import_module("envs.vector")  # the module must not replace the function of that name
    view = envs.vector(name, 3)
    act = envs.heuristic(name)
    view.reset(0)
    for _ in range(20):
        view.step(act(view.batch_state))  # raises where an action is outside its space


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"environment: 'warehose'.*did you mean 'warehouse'"):
        envs.make("warehose")
    with pytest.raises(ValueError, match=r"task of warehouse: 'small4'.*did you mean 'small-4'"):
        envs.make("warehouse", task="small4")
    with pytest.raises(ValueError, match=r"argument of warehouse: 'n_robot'.*did you mean 'n_robots'"):
        envs.make("warehouse", n_robot=3)
    with pytest.raises(ValueError, match="max_cycles and max_steps"):
        envs.parallel_env("warehouse", max_cycles=3, max_steps=3)
    with pytest.raises(ValueError, match="reward"):
        envs.parallel_env("warehouse", reward="mine")  # type: ignore[arg-type] - the mistake
