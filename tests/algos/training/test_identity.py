"""The identity of a checkpoint, and other things than a checkpoint in its place."""

from __future__ import annotations

import dataclasses
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from run_folders import change, spread
from streams import SPECS

import train
from algos import ALGOS, load_policy
from algos.training import checkpoint, identity, runfolder


def refused_everywhere(folder: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`load_policy`, `--evaluate` and `--resume` say the same in one line."""
    with pytest.raises(ValueError, match=line) as caught:
        load_policy(folder)
    assert "\n" not in str(caught.value)
    for how in (["--evaluate", str(folder), "--episodes", "2"], ["--resume", str(folder)]):
        capsys.readouterr()
        assert train.main(how) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("train.py: ")
        assert said.err.count("\n") == 1
        assert str(caught.value) in said.err


@pytest.mark.parametrize("pair", [("maddpg", "ippo"), ("ippo", "mappo"), ("mappo", "iddpg")])
def test_a_checkpoint_of_another_algorithm_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pair: tuple[str, str]
) -> None:
    other, mine = (spread(tmp_path, algo) for algo in pair)
    for path in checkpoint.listing(other / runfolder.CHECKPOINTS):
        shutil.copy(path, mine / runfolder.CHECKPOINTS / path.name)
    refused_everywhere(mine, f"it was made with algorithm {pair[0]}, not {pair[1]}", capsys)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Activation and sharing show in no shape of a network that all agents share."""
    for key, value, line in (
        ("activation", "relu", "it was made with activation 'silu', not 'relu'"),
        ("hidden", [8, 8], r"hidden \[8\], not \[8, 8\]"),
        ("agent_id", True, "agent_id False, not True"),
        ("share", "none", "share 'all', not 'none'"),
    ):
        folder = spread(tmp_path)
        change(folder, "algo", "options", key, value=value)
        refused_everywhere(folder, line, capsys)
    load_policy(spread(tmp_path))


def test_a_checkpoint_of_other_spaces_or_agents_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = spread(tmp_path)
    names = list(runfolder.read_config(folder).agents)
    change(folder, "agents", value=names[::-1])
    refused_everywhere(folder, "other agents, or agents in another order", capsys)
    folder = spread(tmp_path)
    change(folder, "spec", "state_dim", value=7)
    refused_everywhere(folder, "other observations or actions", capsys)


def test_training_options_may_be_changed_by_hand(tmp_path: Path) -> None:
    folder = spread(tmp_path)
    change(folder, "algo", "options", "lr", value=1e-5)
    change(folder, "run", "save_every", value=5)
    load_policy(folder)


def test_a_checkpoint_that_does_not_say_whose_it_is_is_taken_by_its_shapes(tmp_path: Path) -> None:
    folder = spread(tmp_path)
    path, content = checkpoint.load_latest(folder / runfolder.CHECKPOINTS)
    del content["whose"]
    checkpoint.save(path, content)
    load_policy(folder)
    checkpoint.save(path, {"whose": {"algorithm": "mappo"}, **content})
    with pytest.raises(ValueError, match="does not say whose it is in a way known here"):
        load_policy(folder)


def shapes(value: Any, path: str = "") -> dict[str, Any]:
    """The shapes of all tensors in a state, by their path."""
    if isinstance(value, torch.Tensor):
        return {path: tuple(value.shape)}
    parts = value.items() if isinstance(value, dict) else ()
    return {name: shape for key, part in parts for name, shape in shapes(part, f"{path}.{key}").items()}


@pytest.mark.parametrize("algo", list(ALGOS))
def test_every_option_that_shapes_a_network_is_part_of_the_identity(algo: str) -> None:
    """Switches and choices are tried one by one."""
    spec, entry = SPECS[0], ALGOS[algo]
    plain, found = entry.config(hidden=(4,)), set()

    def built(**options: Any) -> dict[str, Any]:
        learner = entry.algorithm(spec, dataclasses.replace(plain, **options), seed=0, device="cpu")
        return shapes({name: part for name, part in learner.state_dict().items() if "adam" not in name})

    def differs(name: str, choice: Any) -> bool:
        try:
            return built(**{name: choice}) != built()
        except ValueError:  # it does not fit the other options, such as a rule of credit that needs another critic
            return False

    hints = get_type_hints(entry.config)
    for field in dataclasses.fields(plain):
        choices = get_args(hints[field.name]) if get_origin(hints[field.name]) is Literal else ()
        others = {True, False} if hints[field.name] is bool else set(choices)
        if any(differs(field.name, other) for other in others - {getattr(plain, field.name)}):
            found.add(field.name)
    assert {"share", "agent_id", "critic"} <= found
    assert found <= set(identity.NETWORK)


def make_odd(path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path.unlink(missing_ok=True)
    if what == "folder":
        path.mkdir()
    elif what == "full folder":
        path.mkdir()
        (path / "file").write_text("mine")
    elif what == "loop":
        path.symlink_to(path)
    elif what == "dangling link":
        path.symlink_to(path.with_name("nothing"))
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "unreadable":
        path.write_bytes(b"secret")
        opened = zipfile.ZipFile

        def closed(file: Any, *rest: Any) -> Any:
            if Path(file) == path:
                raise PermissionError(13, "Permission denied", str(file))
            return opened(file, *rest)

        monkeypatch.setattr(zipfile, "ZipFile", closed)


ODD = ["folder", "full folder", "loop", "dangling link", "pipe", "device", "unreadable"]


@pytest.mark.parametrize("what", ODD)
def test_an_odd_thing_in_the_place_of_the_newest_falls_back(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save_latest(tmp_path, 1, {"weights": torch.ones(3)})
    newest = tmp_path / "step-000000000002.pt"
    make_odd(newest, what, monkeypatch)
    told: list[str] = []
    path, _ = checkpoint.load_latest(tmp_path, warn=told.append)
    assert path.name == "step-000000000001.pt"
    assert len(told) == 1
    assert str(newest) in told[0]
    assert told[0].endswith("falling back to step-000000000001.pt")
    for steps in (2, 3):  # training goes on, over it and past it
        monkeypatch.undo()
        checkpoint.save_latest(tmp_path, steps, {"weights": torch.ones(3)})
    assert checkpoint.load_latest(tmp_path)[0].name == "step-000000000003.pt"
    assert checkpoint.load(newest)["weights"].sum() == 3
    if what == "full folder":
        assert (tmp_path / "step-000000000002.pt.aside" / "file").read_text() == "mine"


@pytest.mark.parametrize("what", ODD)
def test_an_odd_thing_in_the_place_of_the_best_is_one_line(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = spread(tmp_path)
    make_odd(folder / runfolder.CHECKPOINTS / "best.pt", what, monkeypatch)
    with pytest.raises(ValueError, match=r"best\.pt") as caught:
        load_policy(folder, which="best")
    assert "\n" not in str(caught.value)
    assert train.main(["--evaluate", str(folder), "--checkpoint", "best"]) == 2
    assert capsys.readouterr().err == f"train.py: {caught.value}\n"


def test_folders_do_not_count_as_checkpoints_that_are_kept(tmp_path: Path) -> None:
    for steps in (7, 8, 9):
        (tmp_path / f"step-{steps:012d}.pt").mkdir()
    for steps in (1, 2, 3):
        checkpoint.save_latest(tmp_path, steps, {})
    assert [path.name for path in checkpoint.listing(tmp_path) if path.is_file()] == [
        "step-000000000002.pt",
        "step-000000000003.pt",
    ]
