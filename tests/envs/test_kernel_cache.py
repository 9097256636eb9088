"""Kernels are compiled, and kept, also where neither the code's folder nor the user's home can be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from envs.kit.kernels import own_folder

ROOT = Path(__file__).parents[2]
KERNEL = """
from envs.kit.kernels import kernel, own_folder

@kernel
def twice(x):
    return 2 * x
"""
CODE = (
    "import own; print(own.twice(2), sum(own.twice.stats.cache_hits.values()), own.own_folder())\n"
    "import numba.core.config as c; assert c.CACHE_DIR == '', c.CACHE_DIR"
)


@pytest.fixture(scope="module")
def readonly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code whose folders take no cache; not by their mode, for tests may be run by root."""
    code = tmp_path_factory.mktemp("code")
    shutil.copytree(ROOT / "envs", code / "envs", ignore=shutil.ignore_patterns("__pycache__"))
    (code / "own.py").write_text(KERNEL, encoding="utf-8")
    for folder in [code, code / "envs", *(path for path in (code / "envs").iterdir() if path.is_dir())]:
        (folder / "__pycache__").write_text("in the way", encoding="utf-8")
    return code


def run(code: Path, temporary: Path) -> str:
    """With a home that cannot be made, and that temporary directory."""
    nowhere = code / "envs" / "__pycache__" / "home"
    places = {"HOME": str(nowhere), "XDG_CACHE_HOME": str(nowhere), "TMPDIR": str(temporary)}
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "NUMBA_CACHE_DIR")}
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=code, env=environment | places, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_they_are_kept_in_a_folder_of_the_users_own(readonly: Path, tmp_path: Path) -> None:
    folder = tmp_path / f"coterie-numba-{os.getuid()}"
    assert run(readonly, tmp_path) == f"4 0 {folder}"
    assert list(folder.rglob("*.nbc"))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert run(readonly, tmp_path) == f"4 1 {folder}"  # from there


def test_without_such_a_folder_every_process_compiles_for_itself(readonly: Path, tmp_path: Path) -> None:
    (tmp_path / f"coterie-numba-{os.getuid()}").write_text("in the way", encoding="utf-8")
    assert run(readonly, tmp_path) == "4 0 None"
    assert not list(tmp_path.rglob("*.nbc"))


@pytest.mark.parametrize("trap", ["writable by others", "a link", "somebody else's"])
def test_a_folder_that_others_may_have_filled_is_not_used(
    tmp_path: Path, trap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content of a cache is executed as code."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"coterie-numba-{os.getuid()}"
    assert own_folder.__wrapped__() == folder
    if trap == "a link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    elif trap == "writable by others":
        folder.chmod(0o777)
    else:
        monkeypatch.setattr(os, "getuid", lambda: 4711)
        folder.rename(tmp_path / "coterie-numba-4711")
    assert own_folder.__wrapped__() is None
