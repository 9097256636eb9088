"""Environment folders are laid out alike, and their kernels are of a size that can be read."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

import envs

FOLDER = Path(__file__).parents[2] / "envs"
NAMES = sorted(envs.ENVS)
CANON = ("config", "state", "start", "observe", "metrics", "heuristic", "picture", "env")
MOST_ARGUMENTS, MOST_LEVELS = 10, 4


def levels(body: Sequence[ast.stmt]) -> int:
    """How deep statements are nested; `elif` is on the level of its `if`."""
    deepest = 0
    for statement in body:
        if isinstance(statement, (ast.For, ast.While, ast.If)):
            chained = isinstance(statement, ast.If) and [type(one) for one in statement.orelse] == [ast.If]
            deepest = max(deepest, 1 + levels(statement.body))
            if statement.orelse:
                deepest = max(deepest, levels(statement.orelse) + (not chained))
    return deepest


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_has_the_files_of_the_canon(name: str) -> None:
    found = {path.stem for path in (FOLDER / name).glob("*.py")}
    assert set(CANON) <= found
    picture = ast.parse((FOLDER / name / "picture.py").read_text(encoding="utf-8"))
    parts = [node.module for node in ast.walk(picture) if isinstance(node, ast.ImportFrom) and node.level == 1]
    assert "env" not in parts, "a picture is drawn of a state, whatever made it"


@pytest.mark.parametrize("name", NAMES)
def test_kernels_take_few_arguments_and_are_nested_little(name: str) -> None:
    kernels = 0
    for path in sorted((FOLDER / name).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.decorator_list and not path.stem.startswith("picture"):
                kernels += 1
                assert len(node.args.args) <= MOST_ARGUMENTS, f"{name}/{path.name}: {node.name} has too many arguments"
                assert levels(node.body) <= MOST_LEVELS, f"{name}/{path.name}: {node.name} is nested too deep"
    assert kernels
