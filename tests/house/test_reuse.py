"""Algorithms of other libraries train on Coterie's environments: the scripts of examples/reuse run as they stand."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REUSE = Path(__file__).parents[2] / "examples" / "reuse"
NEEDS = {
    "cleanrl_ppo.py": (),
    "sb3_ppo.py": (),
    "rllib_ppo.py": ("ray", "tree"),
    "torchrl_mappo.py": ("torchrl",),
}
"""By script, the modules that only the extra `reuse` installs."""
LINE = re.compile(r"^(.+): mean return (\S+), (\w+) \S+, (\w+) \S+$", re.MULTILINE)


SCORE = re.compile(r"^after .*, score (\S+),", re.MULTILINE)
"""The share of all value that rovers have found after learning."""


def script(name: str) -> object:
    """A parameter of a test; it is skipped where a module is missing."""
    missing = [module for module in NEEDS[name] if importlib.util.find_spec(module) is None]
    skip = pytest.mark.skipif(
        bool(missing), reason=f"no {', '.join(missing)}: pip install -c constraints.txt -e '.[reuse]'"
    )
    return pytest.param(name, marks=[pytest.mark.heavy, skip] if NEEDS[name] else [], id=name.removesuffix(".py"))


SCRIPTS = [script(name) for name in sorted(NEEDS)]


def python(*arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # the networks are small
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def trained(name: str, folder: Path, *arguments: str) -> list[tuple[str, float, str, str]]:
    """Runs a script; returns when, mean return and names of two metrics, for each line of its results."""
    printed = python(str(REUSE / name), *arguments, folder=folder)
    return [(when, float(mean), *metrics) for when, mean, *metrics in LINE.findall(printed)]


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_trains(name: str, tmp_path: Path) -> None:
    told = trained(name, tmp_path, "--task", "tiny-2", "--steps", "512", "--worlds", "2")
    assert [when for when, *_ in told] == ["before", "after 512 environment steps"]
    for _, mean, *metrics in told:
        assert math.isfinite(mean)
        assert metrics == ["orders_per_hour", "contacts"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_it_learns(name: str, tmp_path: Path) -> None:
    (_, before, *_), (_, after, *_) = trained(name, tmp_path, "--task", "tiny-2", "--steps", "20480")
    assert before < -10  # random actions run into walls and other robots
    assert after > -3


@pytest.mark.slow
def test_stable_baselines3_learns_more_from_differences_than_from_the_teams_reward(tmp_path: Path) -> None:
    """Seeds 0 to 4 ended at scores of 0.81 to 0.85 with differences, and of 0.34 to 0.58 with the team's reward."""
    scores = {}
    for reward in ("difference", "team"):
        rovers = ("--env", "rovers", "--task", "rovers-16", "--reward", reward, "--steps", "40000")
        (score,) = SCORE.findall(python(str(REUSE / "sb3_ppo.py"), *rovers, folder=tmp_path))
        scores[reward] = float(score)
    assert scores["difference"] > 0.7
    assert scores["difference"] > scores["team"] + 0.15


def test_stable_baselines3_learns_of_the_time_limit(tmp_path: Path) -> None:
    """It bootstraps only where `TimeLimit.truncated` and `terminal_observation` are in the info."""
    code = (
        f"import sys; sys.path.insert(0, {str(REUSE)!r})\n"
        "import numpy, supersuit, sb3_ppo\n"
        "from coterie import envs\n"
        "env = sb3_ppo.TellTimeLimit(envs.parallel_env('warehouse', 'tiny-2', max_steps=3))\n"
        "worlds = supersuit.concat_vec_envs_v1(supersuit.pettingzoo_env_to_vec_env_v1(env), 2)\n"
        "worlds.reset(seed=0)\n"
        "for _ in range(4):\n"
        "    infos = worlds.step(numpy.zeros(4, int))[-1]\n"
        "    print(*(info.get('TimeLimit.truncated', False) for info in infos),\n"
        "          *('terminal_observation' in info for info in infos))\n"
    )
    no, yes = " ".join(["False"] * 8), " ".join(["True"] * 8)
    assert python("-c", code, folder=tmp_path).splitlines() == [no, no, yes, no]


def test_every_script_is_run() -> None:
    assert {path.name for path in REUSE.glob("*.py")} == set(NEEDS)
