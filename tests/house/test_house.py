"""The house rules: who may import whom, and tables that equal folders."""

from __future__ import annotations

import ast
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

ROOT = Path(__file__).parents[2]
HOUSE = {
    "__init__",
    "actions",
    "adapters",
    "aec",
    "batch_checks",
    "builder",
    "conformance",
    "core",
    "fields",
    "foreign",
    "foreign_checks",
    "kernels",
    "paint",
    "parallel",
    "seeding",
    "sharing_checks",
    "vector",
}
PARTS = {"spread_picture"}
"""Modules of envs/ that are no environments: the house's own, and parts of an environment that is one file."""
FORBIDDEN = {"envs": {"torch", "algos", "coterie"}, "algos": {"envs", "coterie"}}


def imported(path: Path) -> set[str]:
    """First parts of the absolute imports of a file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_no_file_imports_what_it_must_not(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(path.relative_to(ROOT)): imported(path) & FORBIDDEN[package] for path in files}
    assert not {path: names for path, names in wrong.items() if names}


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_no_import_brings_in_what_it_must_not(package: str) -> None:
    """Also through third parties, and in every module of the package."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "__init__.py"
    ]
    code = (
        f"import sys, importlib\nfor name in {[package, *modules]!r}: importlib.import_module(name)\n"
        f"print(*sorted({FORBIDDEN[package]!r} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_importing_envs_is_light() -> None:
    heavy = {"numba", "pymunk", "pygame", "scipy", "supersuit", "pandas"}
    code = f"import sys, envs\nprint(*sorted({heavy!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_kernels_are_compiled_so_that_both_spellings_can_cache_them() -> None:
    for path in sorted((ROOT / "envs").rglob("*.py")):
        if path.name != "kernels.py":
            text = path.read_text(encoding="utf-8")
            assert "njit" not in text, f"{path.relative_to(ROOT)}: use envs.kernels.kernel, which says why"


def test_a_change_of_any_module_compiles_kernels_anew(tmp_path: Path) -> None:
    """Numba looks at a kernel's own file only, not at those of the kernels that it calls."""
    shutil.copytree(ROOT / "envs", tmp_path / "envs", ignore=shutil.ignore_patterns("__pycache__"))
    code = "from envs.signals import traffic; print(traffic.drive.py_func.__qualname__)"
    names = set()
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        names.add(done.stdout)
        with (tmp_path / "envs" / "signals" / "following.py").open("a", encoding="utf-8") as called:
            called.write("# changed\n")
    assert len(names) == 2


def test_the_folder_equals_the_table() -> None:
    found = {path.stem for path in (ROOT / "envs").glob("*.py")}
    found |= {path.parent.name for path in (ROOT / "envs").glob("*/__init__.py")}
    assert found - HOUSE - PARTS == set(envs.ENVS)


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
    importlib.import_module("envs.vector")  # must not take the place of the function
    view = envs.vector(name, 3)
    act = envs.heuristic(name)
    view.reset(0)
    for _ in range(20):
        view.step(act(view.batch_state))  # raises where an action is outside its space


def test_a_mistake_is_told_with_the_nearest_name() -> None:
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
