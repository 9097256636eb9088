"""The wheel, installed away from the clone beside a foreign package `envs`, gives a `coterie.envs` that conforms.

Cheap enough for every run: the wheel goes into a clean environment, its dependencies come from this one. `.ci/run`
repeats it with all dependencies installed anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import setuptools

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "src", "envs", "algos")


DEPENDENCIES = "".join(f"{Path(package.__path__[0]).parent}\n" for package in (np, setuptools))


def run(*command: str | Path, cwd: Path) -> str:
    done = ended(*command, cwd=cwd)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def ended(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is installed, so that setuptools leaves nothing in the clone."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif path.exists():
            shutil.copy(path, source / name)
    return source


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    # setuptools is in the test extra: no isolation, no download
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        target,
        source,
        cwd=target,
    )
    return next(target.glob("coterie-*.whl"))


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A Python with the wheel, and a folder to run it in with a foreign `envs` package."""
    return installed(tmp_path_factory.mktemp("elsewhere"), wheel)


@pytest.fixture(scope="module")
def editable(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same with an editable install, of a copy of the clone."""
    return installed(tmp_path_factory.mktemp("editable"), "--no-build-isolation", "-e", source)


def installed(home: Path, *what: str | Path) -> tuple[Path, Path]:
    run(sys.executable, "-m", "venv", "--without-pip", home / "venv", cwd=home)
    python = home / "venv" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    # A line in a .pth adds the folders without running the .pth files in them: no editable install comes along.
    (site / "dependencies.pth").write_text(DEPENDENCIES, encoding="utf-8")
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", *what, cwd=home)
    (home / "envs").mkdir()
    (home / "envs" / "__init__.py").write_text("FOREIGN = True\n", encoding="utf-8")
    return python, home


def test_it_holds_sources_maps_and_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    files = [path for package in ("envs", "algos") for path in (ROOT / package).rglob("*")]
    inside = {f"coterie/{path.relative_to(ROOT)}" for path in files if path.suffix in {".py", ".txt", ".typed"}}
    assert inside | {"coterie/__init__.py", "coterie/__main__.py", "coterie/py.typed"} <= names
    assert {name.partition("/")[0] for name in names} == {"coterie", wheel.name.partition("-py3")[0] + ".dist-info"}


def test_its_sources_are_those_of_the_clone(wheel: Path) -> None:
    """Byte for byte, so that what tests show of the clone holds for the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for package in ("envs", "algos"):
            for path in (ROOT / package).rglob("*.py"):
                assert archive.read(f"coterie/{path.relative_to(ROOT)}") == path.read_bytes(), path


@pytest.mark.parametrize(
    "names",
    [
        pytest.param("['spread']", id="spread"),
        pytest.param(
            "coterie.envs.ENVS", id="all", marks=pytest.mark.slow
        ),  # compiles every kernel again, which takes minutes
    ],
)
def test_it_conforms_beside_a_foreign_envs(names: str, elsewhere: tuple[Path, Path]) -> None:
    python, home = elsewhere
    code = (
        "import envs, coterie.envs\n"
        "assert envs.FOREIGN\n"
        "assert 'elsewhere' in coterie.envs.__file__, coterie.envs.__file__\n"
        "from coterie.envs import conformance\n"
        f"for name in {names}:\n"
        "    conformance.check_all(name, max_steps=40)\n"
        "import sys; assert 'torch' not in sys.modules\n"
        "print('conforms')"
    )
    assert "conforms" in run(python, "-W", "error::UserWarning:coterie", "-c", code, cwd=home)


@pytest.mark.parametrize("install", ["elsewhere", "editable"])
def test_one_import_gives_all_of_it(install: str, request: pytest.FixtureRequest) -> None:
    python, home = request.getfixturevalue(install)
    code = (
        "import sys, coterie\n"
        "assert not {'numpy', 'coterie.envs', 'coterie.algos'} & sys.modules.keys(), 'importing it is not light'\n"
        "assert {'algos', 'envs', 'run_config', 'session', 'resume', '__version__'} <= set(dir(coterie))\n"
        "assert coterie.envs.make('spread').agents\n"
        "assert 'torch' not in sys.modules\n"
        "assert 'mappo' in coterie.algos.ALGOS\n"
        "import coterie.envs as again; assert again is coterie.envs\n"
        "from importlib import metadata; assert metadata.version('coterie') == coterie.__version__\n"
        "try: coterie.nothing\n"
        "except AttributeError as error: print(error)"
    )
    assert "no attribute 'nothing'" in run(python, "-c", code, cwd=home)


def test_the_command_trains_goes_on_and_evaluates(elsewhere: tuple[Path, Path]) -> None:
    """The command of the wheel, called as a script and as a module; its messages name it."""
    python, home = elsewhere
    command = python.with_name("coterie")
    assert run(command, cwd=home).startswith("usage: coterie --env ENV --algo ALGO")
    assert "--algo.lr FLOAT" in run(command, "--env", "spread", "--algo", "mappo", "--help", cwd=home)
    typo = ended(command, "--env", "spred", "--algo", "mappo", cwd=home)
    assert typo.returncode == 2
    assert typo.stderr.startswith("coterie: --env spred: unknown environment")
    assert typo.stderr.endswith("(did you mean spread?)\n")
    tiny = ["--env", "spread", "--algo", "mappo", "--n-worlds", "4", "--algo.hidden", "8", "--algo.rollout-steps", "8"]
    tiny += ["--eval-episodes", "2", "--threads", "1", "--run-name", "run"]
    trained = ended(command, *tiny, "--total-steps", "64", cwd=home)
    assert trained.returncode == 0, trained.stderr
    assert "run folder: runs/run" in trained.stderr
    assert "learned" in trained.stdout
    module = [python, "-m", "coterie"]
    done = ended(*module, "--resume", "runs/run", cwd=home)
    assert done.returncode == 0
    assert done.stderr.startswith("coterie: runs/run is finished: 64 of 64 steps are done")
    run(*module, "--resume", "runs/run", "--total-steps", "96", "--quiet", cwd=home)
    assert '"heuristic"' in run(command, "--evaluate", "runs/run", "--episodes", "2", "--json", cwd=home)


@pytest.mark.parametrize("install", ["elsewhere", "editable"])
def test_a_run_is_made_in_five_lines(install: str, request: pytest.FixtureRequest) -> None:
    """As in a notebook: a config, a session, a portion of training, an evaluation; and going on another day."""
    python, home = request.getfixturevalue(install)
    code = (
        "import coterie\n"
        "config = coterie.run_config('spread', 'mappo', n_worlds=8, total_steps=400, eval_episodes=2)\n"
        "with coterie.session(config, 'runs/mine') as session:\n"
        "    session.advance(200)\n"
        "    print(session.evaluate(4))\n"
        "with coterie.resume('runs/mine', quiet=True) as session:\n"
        "    print('from', session.steps)\n"
        "    session.advance(200)\n"
        "    assert session.finish().finished\n"
        "assert config.algo.options['gamma'] == 0.9, 'the presets of the pair, as the command has them'\n"
        "import json\n"
        "plain = json.loads(json.dumps(config.to_plain()))\n"
        "assert coterie.algos.training.run_config.RunConfig.from_plain(plain) == config\n"
    )
    shown = run(python, "-c", code, cwd=home).splitlines()
    assert shown[0].split() == ["learned"]
    assert shown[1].startswith("return ")
    assert shown[-1] == "from 200"


def test_the_version_is_written_once() -> None:
    text = (ROOT / "src" / "coterie" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert "version" not in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (ROOT / "pyproject.toml").read_text(encoding="utf-8").count(version) == 0


def test_algos_import_beside_a_foreign_envs(elsewhere: tuple[Path, Path]) -> None:
    python, home = elsewhere
    assert "algos" in run(python, "-c", "import coterie.algos as a; print(a.__name__)", cwd=home)


def test_both_spellings_live_in_one_process(elsewhere: tuple[Path, Path]) -> None:
    python, home = elsewhere
    code = (
        f"import sys, warnings; warnings.simplefilter('error', UserWarning); sys.path.insert(0, {str(ROOT)!r})\n"
        "import envs, coterie.envs, pettingzoo\n"
        "assert envs.__file__ != coterie.envs.__file__\n"
        "for package in (envs, coterie.envs):\n"
        "    for name in package.ENVS: package.make(name)\n"
        "env = pettingzoo.make('parallel', 'coterie/warehouse_v1')\n"
        "print(type(env).__module__)"
    )
    assert run(python, "-c", code, cwd=home).strip() == "envs.parallel"  # whoever came first
