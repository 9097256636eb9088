"""config.json damaged by hand, key by key: one line each from `load_policy`, `--evaluate` and `--resume`."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_toys import Scripted
from run_folders import change, spread, untrained

import train
from algos import ALGOS, load_policy
from algos.cli import resuming
from algos.training import checkpoint, evaluation, runfolder
from algos.training.builder import Setup
from algos.training.contrast import LEARNED
from envs import adapters

WRONG = (None, True, 3, -1, 0.5, 1e300, float("nan"), 10**30, 2**40, "", "x", "../a:b", [], {}, [1, "x"], {"a": [1]})


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replaces what follows the reading of config.json: training and evaluation."""
    threads = torch.get_num_threads()
    values = evaluation.Evaluation(("return",), np.zeros((2, 1)))
    monkeypatch.setattr(Setup, "session", lambda *_, **__: None)
    monkeypatch.setattr(resuming, "trained", lambda *_, **__: 0)
    monkeypatch.setattr(evaluation, "compare", lambda *_, **__: {LEARNED: values})
    yield
    torch.set_num_threads(threads)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key of nested data, and the first entry of every list."""
    keys = list(value) if isinstance(value, dict) else [0] if isinstance(value, list) and value else []
    for key in keys:
        yield (*path, key)
        yield from places(value[key], (*path, key))


def ways(folder: Path) -> Iterator[tuple[str, Any]]:
    yield "load_policy", lambda: load_policy(folder, warn=lambda _: None)
    for way in ("evaluate", "resume"):
        words = [f"--{way}", str(folder), *(["--episodes", "2"] if way == "evaluate" else ["--quiet"])]
        yield way, lambda words=words: train.main(words)


def fuzzed(folder: Path, capsys: pytest.CaptureFixture[str], *, skip: tuple[str, ...], stride: int) -> dict[str, int]:
    """Damages every key in every `stride`-th way, other ones each time; returns how often each way refused."""
    file = folder / runfolder.CONFIG
    good = json.loads(file.read_text())
    refused: dict[str, int] = dict.fromkeys(("load_policy", "evaluate", "resume"), 0)
    for number, path in enumerate(path for path in places(good) if path[0] not in skip):
        for wrong in (*WRONG, "deleted", "renamed")[number % stride :: stride]:
            config = copy.deepcopy(good)
            place = config
            for key in path[:-1]:
                place = place[key]
            if wrong == "deleted":
                del place[path[-1]]
            elif wrong == "renamed":
                if not isinstance(place, dict):
                    continue
                place[f"{path[-1]}x"] = place.pop(path[-1])
            elif place[path[-1]] == wrong and type(place[path[-1]]) is type(wrong):
                continue
            else:
                place[path[-1]] = wrong
            file.write_text(json.dumps(config))
            for way, call in ways(folder):
                capsys.readouterr()
                where = f"{way}, {path} = {wrong!r}"
                message = None
                try:
                    code = call()
                except BaseException as error:
                    if way != "load_policy" or not isinstance(error, ValueError):
                        raise AssertionError(where) from error
                    code, message = 2, f"train.py: {error}"
                said = message or capsys.readouterr().err
                assert "Traceback" not in said, where
                assert code in (0, 2) or way == "load_policy", f"{where}: {code}, {said}"
                if code == 2:
                    assert said.splitlines()[-1].startswith("train.py: "), where
                    assert message is None or "\n" not in message, where
                    refused[way] += 1
    file.write_text(json.dumps(good))
    return refused


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("algo", "stride"), [("mappo", 8), pytest.param("mappo", 1, marks=slow), pytest.param("maddpg", 1, marks=slow)]
)
def test_every_key_of_a_run_may_be_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], algo: str, stride: int
) -> None:
    refused = fuzzed(spread(tmp_path, algo), capsys, skip=("created", "code"), stride=stride)
    assert min(refused.values()) > 500 // stride
    assert refused["resume"] >= refused["evaluate"] >= refused["load_policy"]


@pytest.mark.parametrize("stride", [8, pytest.param(1, marks=slow)])
def test_every_key_of_a_run_on_somebody_elses_environment_may_be_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stride: int
) -> None:
    vector = adapters.vector(Scripted, 1, 0, n=2)
    vector.reset(0)
    folder = untrained(tmp_path, vector, name="foreign_toys:Scripted", n_workers=0, n="2")
    refused = fuzzed(folder, capsys, skip=("created", "code", "algo", "run", "spec"), stride=stride)
    assert min(refused.values()) > 100 // stride


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("spec", "groups"), 3, r"is damaged: spec\.groups is 3; expected a list, each a list, each a whole number"),
        (("agents",), 3, r"is damaged: agents is 3; expected a list, each a text"),
        (("agents",), ["a", "a", "b"], "agents holds a name twice"),
        (("agents",), ["a"], r"there are 1 names in agents, and spec\.n_agents is 3"),
        (("env", "task"), 5, r"env\.task is 5; expected a text or null"),
        (("algo", "options", "lr"), "fast", r"algo\.options\.lr is 'fast'; expected a number"),
        (("algo", "options", "lr"), float("nan"), r"algo\.options\.lr is nan; expected a number"),
        (("algo", "options", "hidden"), [8.5], r"it was made with hidden \[8\], not \[8.5\]"),
        (("algo", "options", "target_kl"), "x", r"algo\.options\.target_kl is 'x'; expected a number or null"),
        (("algo", "options", "anneel"), True, r"algo\.options\.anneel is not known; did you mean anneal\?"),
        (("spec", "action_space", "n"), 10**30, r"spec\.action_space\.n is 10+; expected a whole number"),
    ],
)
def test_a_line_names_key_value_and_what_is_expected(tmp_path: Path, path: Any, value: Any, line: str) -> None:
    folder = spread(tmp_path)
    change(folder, *path, value=value)
    with pytest.raises(ValueError, match=line):
        load_policy(folder)


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("run", "device"), 1e300, r"run\.device is 1e\+300; expected a text"),
        (("run", "threads"), -3, "threads is -3"),
        (("run", "save_every"), "often", r"run\.save_every is 'often'; expected a whole number"),
        (("env", "options", "max_steps"), "4", r"--env spread: options\.max_steps is '4'; expected a whole number"),
        (("env", "name"), "spred", "unknown environment: 'spred'; .*did you mean 'spread'"),
    ],
)
def test_what_the_run_needs_is_typed_too(
    tmp_path: Path, path: Any, value: Any, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    folder = spread(tmp_path)
    change(folder, *path, value=value)
    for _, call in [*ways(folder)][1:]:
        assert call() == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert re.search(line, said), said


def test_a_flipped_key_is_said_and_not_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = spread(tmp_path)
    change(folder, "run", "save_evary", value=5)
    change(folder, "colour", value="red")
    told: list[str] = []
    load_policy(folder, warn=told.append)
    assert told == [f"{folder / 'config.json'}: colour is not known; it is not used"]
    assert train.main(["--evaluate", str(folder), "--episodes", "2"]) == 0
    said = capsys.readouterr().err
    assert "run.save_evary is not known; did you mean save_every? It is not used" in said
    assert said.count("colour is not known; it is not used") == 1
    assert train.main(["--resume", str(folder)]) == 2  # going on would not be as it was
    assert "colour is not known" in capsys.readouterr().err
    change(folder, "colour", value="red")


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    folder = spread(tmp_path)
    file = folder / runfolder.CONFIG
    good = file.read_bytes()
    for content, line in (
        (b"[" * 100_000, "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"", "is damaged"),
        (b'{"format": "coterie-run", "format": 3}', "the key 'format' stands there twice"),
        (b"[1]", "not written by Coterie"),
        (good.replace(b'"version": 1', b'"version": 7', 1), "format version 7"),
        (good.replace(b'"version": 1', b'"version": true', 1), "version is True; expected a whole number"),
        (b'{"format": ' + b"9" * 10_000 + b"}", "is damaged"),
    ):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=line) as caught:
            load_policy(folder)
        assert "\n" not in str(caught.value)
    file.unlink()
    file.mkdir()
    with pytest.raises(ValueError, match=r"has no config\.json"):
        load_policy(folder)


def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = spread(tmp_path)

    def closed(self: Path, **_: Any) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", closed)
    with pytest.raises(ValueError, match=r"config\.json cannot be read: Permission denied"):
        load_policy(folder)


def test_older_folders_lack_what_came_later(tmp_path: Path) -> None:
    folder = spread(tmp_path)
    file = folder / runfolder.CONFIG
    config = json.loads(file.read_text())
    del config["own_spaces"], config["env"]["version"], config["spec"]["obs_shape"], config["algo"]["options"]["lr"]
    file.write_text(json.dumps(config))
    path, content = checkpoint.load_latest(folder / runfolder.CHECKPOINTS)
    del content["whose"]
    checkpoint.save(path, content)
    load_policy(folder)
    assert train.main(["--evaluate", str(folder), "--episodes", "2"]) == 0
    assert train.main(["--resume", str(folder), "--quiet"]) == 0


def test_every_algorithm_reads_its_own_options_back() -> None:
    from algos.training import typed

    for entry in ALGOS.values():
        plain = json.loads(json.dumps(dataclasses.asdict(entry.config())))
        assert entry.config(**typed.fields(entry.config, plain, "options")) == entry.config()
