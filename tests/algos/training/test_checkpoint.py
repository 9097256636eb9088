"""Checkpoints: exact, atomic, and clear about files that are none."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from algos.training import checkpoint

CONTENT: dict[str, Any] = {
    "tensor": torch.arange(6.0).reshape(2, 3),
    "array": np.array([[1, 2], [3, 2**63]], dtype=np.uint64),
    "none": None,
    "nested": [1, 2.5, "text", (True, np.float32(0.5)), {"empty": np.zeros((0, 3), dtype=bool)}],
    "big": 2**127 + 1,  # the state of a PCG64 generator is that long
    "flags": {0: np.array([True, False])},
}


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "a.pt", CONTENT)
    found = checkpoint.load(tmp_path / "a.pt")
    assert torch.equal(found["tensor"], CONTENT["tensor"])
    np.testing.assert_array_equal(found["array"], CONTENT["array"])
    assert found["array"].dtype == np.uint64
    assert found["array"].flags.writeable
    assert found["nested"][:3] == [1, 2.5, "text"]
    assert found["nested"][3] == (True, 0.5)
    assert found["nested"][4]["empty"].shape == (0, 3)
    assert found["big"] == 2**127 + 1
    assert found["flags"][0].tolist() == [True, False]
    assert list(tmp_path.iterdir()) == [tmp_path / "a.pt"]


def test_objects_are_refused() -> None:
    with pytest.raises(TypeError, match=r"not .*Path"):
        checkpoint.pack({"a": [Path()]})


def test_the_last_two_stay_and_best(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "best.pt", {"steps": 0})
    for steps in (5, 10, 200, 1_000_000):
        checkpoint.save_latest(tmp_path, steps, {"steps": steps})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.pt",
        "step-000000000200.pt",
        "step-000001000000.pt",
    ]
    path, content = checkpoint.load_latest(tmp_path)
    assert content == {"steps": 1_000_000}
    assert checkpoint.steps_of(path) == 1_000_000


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_one_falls_back_to_the_one_before(tmp_path: Path, damage: str) -> None:
    checkpoint.save_latest(tmp_path, 1, {"weights": torch.ones(1000)})
    newest = checkpoint.save_latest(tmp_path, 2, {"weights": torch.ones(1000)})
    raw = bytearray(newest.read_bytes())
    if damage == "flip":
        raw[raw.index(np.ones(100, np.float32).tobytes()) + 40] ^= 1  # within the weights: still a good zip and pickle
    newest.write_bytes({"cut": raw[: len(raw) // 2], "flip": raw, "empty": b""}[damage])
    with pytest.raises(checkpoint.CheckpointError, match="damaged"):
        checkpoint.load(newest)
    told: list[str] = []
    path, content = checkpoint.load_latest(tmp_path, warn=told.append)
    assert path.name == "step-000000000001.pt"
    assert content["weights"].sum() == 1000
    assert len(told) == 1
    assert "step-000000000002.pt is damaged" in told[0]
    assert told[0].endswith("falling back to step-000000000001.pt")
    assert "\n" not in told[0]


def test_foreign_files_are_named(tmp_path: Path) -> None:
    foreign = tmp_path / "step-000000000001.pt"
    torch.save({"weights": torch.ones(2)}, foreign)
    with pytest.raises(checkpoint.CheckpointError, match="not a checkpoint of Coterie"):
        checkpoint.load(foreign)
    torch.save(torch.nn.Linear(1, 1), foreign)  # holds code: must not be run
    with pytest.raises(checkpoint.CheckpointError, match="damaged or is not a checkpoint"):
        checkpoint.load(foreign)
    torch.save({"format": checkpoint.FORMAT, "version": 99, "content": {}}, foreign)
    with pytest.raises(checkpoint.CheckpointError, match="version 99"):
        checkpoint.load(foreign)
    foreign.write_text("hello")
    with pytest.raises(checkpoint.CheckpointError, match="damaged or is not") as caught:
        checkpoint.load_latest(tmp_path)
    assert "\n" not in str(caught.value)


def test_files_of_another_version_are_refused_in_one_line_that_says_how_to_read_them(tmp_path: Path) -> None:
    for steps in (1, 2):
        content = {"format": checkpoint.FORMAT, "version": checkpoint.VERSION - 1, "content": {}}
        torch.save(content, tmp_path / f"step-{steps:012d}.pt")
    with pytest.raises(checkpoint.CheckpointError) as caught:
        checkpoint.load_latest(tmp_path)
    said = str(caught.value)
    assert "\n" not in said
    assert said.count("use the version of Coterie that wrote it; config.json names its commit") == 1
    assert said.startswith(f"{tmp_path}/step-000000000002.pt has format version {checkpoint.VERSION - 1};")


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(checkpoint.CheckpointError, match="no checkpoint in"):
        checkpoint.load_latest(tmp_path)


def test_a_full_disk_leaves_the_earlier_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for steps in (1, 2):
        checkpoint.save_latest(tmp_path, steps, CONTENT)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save_latest(tmp_path, 3, CONTENT)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_really_full_disk(tmp_path: Path) -> None:
    """The kernel refuses to write past a limit on file size, as it does when a disk is full."""
    resource = pytest.importorskip("resource")
    script = """
        import resource, signal, sys
        from pathlib import Path
        import torch
        from algos.training import checkpoint
        folder = Path(sys.argv[1])
        checkpoint.save_latest(folder, 1, {"weights": torch.ones(10)})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            checkpoint.save_latest(folder, 2, {"weights": torch.ones(1_000_000)})
        except OSError:
            sys.exit(7)
    """
    assert resource
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], check=False)
    assert done.returncode == 7
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000000001.pt"]
    checkpoint.load_latest(tmp_path)


def test_killed_at_any_instant_the_last_good_one_survives(tmp_path: Path) -> None:
    script = """
        import itertools, sys
        from pathlib import Path
        import torch
        from algos.training import checkpoint
        folder = Path(sys.argv[1])
        for steps in itertools.count(1):
            checkpoint.save_latest(folder, steps, {"steps": steps, "weights": torch.full((200_000,), float(steps))})
            print(steps, flush=True)
    """
    rng = np.random.default_rng(0)
    for _ in range(3):
        command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "1"
        time.sleep(rng.uniform(0.0, 0.1))
        process.send_signal(signal.SIGKILL)
        said = [1, *map(int, process.communicate()[0].split())]
        told: list[str] = []
        path, content = checkpoint.load_latest(tmp_path, warn=told.append)
        assert not told
        assert content["steps"] in (said[-1], said[-1] + 1)
        assert (content["weights"] == content["steps"]).all()
        assert path.name == f"step-{content['steps']:012d}.pt"
        for file in tmp_path.glob("step-*.pt"):
            file.unlink()
    checkpoint.save_latest(tmp_path, 1, {})
    assert not list(tmp_path.glob(".*.tmp")), "what a killed process left is cleared by the next save"
