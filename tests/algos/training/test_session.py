"""The training loop: exact under a seed and across interruptions, and everything it writes."""

from __future__ import annotations

import errno
import gc
import os
import signal
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short_runs import CASES, TOTAL, WORLDS, counting, rows, saved, start
from streams import assert_same
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from toys import Match, Recall

from algos.mappo import MappoConfig
from algos.report.monitor import Monitor, cut_rows
from algos.training import checkpoint
from algos.training.evaluation import random_policy


@pytest.mark.parametrize("case", CASES)
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, case: str) -> None:
    for name in ("a", "b"):
        start(tmp_path / name, *CASES[case])
    assert_same(saved(tmp_path / "a"), saved(tmp_path / "b"))
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("stops", [(11,), (3, 8, 17), (0, 1)])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path: Path, case: str, stops: tuple[int, ...]) -> None:
    """In the middle of a rollout, right after an update (8), and before anything was done (0)."""
    schedule = {"eval_every": 40, "eval_episodes": 3, "save_every": 24}
    start(tmp_path / "whole", *CASES[case], schedule=schedule)
    folder = tmp_path / "parts"
    for index, stop_after in enumerate(stops):
        _, outcome = start(folder, *CASES[case], schedule=schedule, resume=index > 0, stop_after=stop_after)
        assert outcome.saved
        assert not outcome.finished
    algo, outcome = start(folder, *CASES[case], schedule=schedule, resume=True)
    assert outcome.finished
    assert outcome.steps == TOTAL
    assert algo.updates == 4
    assert_same(saved(folder), saved(tmp_path / "whole"))
    assert rows(folder) == rows(tmp_path / "whole")
    assert len({(row["step"], len(row)) for row in rows(folder)}) == len(rows(folder)), "no row twice"
    assert (folder / "checkpoints" / "best.pt").exists()


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    """Rows after the checkpoint are dropped, the half line of the moment of death too."""
    case = CASES["deaths and masks"]
    start(tmp_path / "whole", *case)
    folder = tmp_path / "killed"
    start(folder, *case, stop_after=10)
    early = {path.name: path.read_bytes() for path in (folder / "checkpoints").iterdir()}
    start(folder, *case, resume=True, stop_after=15)
    for path in (folder / "checkpoints").iterdir():
        if path.name not in early:
            path.unlink()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1, "half')
    start(folder, *case, resume=True)
    assert_same(saved(folder), saved(tmp_path / "whole"))
    assert rows(folder) == rows(tmp_path / "whole")


def test_a_longer_total_extends_a_finished_run(tmp_path: Path) -> None:
    case = CASES["deaths and masks"]
    start(tmp_path / "whole", *case)
    start(tmp_path / "parts", *case, schedule={"total_steps": 40})
    start(tmp_path / "parts", *case, resume=True)
    a, b = saved(tmp_path / "parts"), saved(tmp_path / "whole")
    for content in (a, b):
        del content["algo"]["progress"]  # a fraction of another total
    assert_same(a, b)


def test_evaluation_and_video_do_not_touch_training(tmp_path: Path) -> None:
    case = CASES["memory"]
    start(tmp_path / "plain", *case)
    _, outcome = start(
        tmp_path / "watched",
        *case,
        schedule={"eval_every": 8, "eval_episodes": 5, "video_every": 40},
        policies={"random": random_policy},
    )
    assert outcome.comparison is not None
    assert set(outcome.comparison) == {"learned", "random"}
    assert_same(saved(tmp_path / "plain")["algo"], saved(tmp_path / "watched")["algo"])
    assert_same(saved(tmp_path / "plain")["env"], saved(tmp_path / "watched")["env"])


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    start(tmp_path, *CASES["memory"], stop_after=2)
    for make, config in (CASES["continuous"], (lambda n: Recall(n), MappoConfig(hidden=(9,)))):
        with pytest.raises(checkpoint.MisfitError, match="does not fit this run") as caught:
            start(tmp_path, make, config, resume=True)
        assert "\n" not in str(caught.value)


def test_a_full_disk_costs_checkpoints_but_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES["deaths and masks"]
    start(tmp_path / "whole", *case)
    folder = tmp_path / "full"
    start(folder, *case, stop_after=9)
    intact = [path.read_bytes() for path in checkpoint.listing(folder / "checkpoints")]
    write = checkpoint.write_atomically
    full = True

    def limited(path: Path, content: Any) -> None:
        if full and path.suffix == ".pt":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, content)

    monkeypatch.setattr(checkpoint, "write_atomically", limited)
    algo, outcome = start(folder, *case, resume=True, schedule={"save_every": 16})
    assert outcome.finished
    assert not outcome.saved
    assert [path.read_bytes() for path in checkpoint.listing(folder / "checkpoints")] == intact
    said = capsys.readouterr().err
    assert "could not be saved: No space left on device" in said
    assert "Traceback" not in said
    assert_same(algo.state_dict(), saved(tmp_path / "whole")["algo"])
    full = False
    _, outcome = start(folder, *case, resume=True)
    assert outcome.saved
    assert_same(saved(folder), saved(tmp_path / "whole"))


def test_what_tensorboard_shows(tmp_path: Path) -> None:
    case = CASES["deaths and masks"]
    schedule = {"eval_every": 40, "eval_episodes": 3, "video_every": 100}
    start(tmp_path, *case, schedule=schedule, stop_after=20, hparams={"algo.lr": 0.1, "algo.hidden": (8,)})
    start(tmp_path, *case, schedule=schedule, resume=True)
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    tags = events.Tags()
    scalars = set(tags["scalars"])
    assert {"rollout/return", "rollout/length", "rollout/team_return", "rollout/cost"} <= scalars
    assert {"env/total", "env/deaths", "eval/return", "eval/total"} <= scalars
    assert {"train/policy_loss", "train/entropy", "train/approx_kl", "train/lr"} <= scalars
    assert {"time/steps_per_second", "time/agent_steps_per_second"} <= scalars
    shares = [events.Scalars(f"time/share_{part}")[-1].value for part in ("act", "env", "update")]
    assert all(share > 0 for share in shares)
    assert sum(shares) <= 1.0
    steps = [event.step for event in events.Scalars("train/policy_loss")]
    assert steps == [32, 64, 96, 128], "one row an update, none twice"
    assert tags["distributions"] == tags["histograms"] == ["rollout/action"]
    histogram = events.Histograms("rollout/action")[0].histogram_value
    assert histogram.bucket_limit == [0.5, 1.5, 2.5]
    assert histogram.num == sum(histogram.bucket) > 0
    assert tags["images"] == ["eval/greedy_policy"]
    images = events.Images("eval/greedy_policy")
    assert all(image.encoded_image_string.startswith(b"GIF89a") for image in images)
    assert [image.step for image in images] == [100, TOTAL], "every so often, and the final policy"
    plugins = {plugin for plugin in ("custom_scalars", "hparams") if events.PluginTagToContent(plugin)}
    assert plugins == {"custom_scalars", "hparams"}
    from tensorboard.plugins.custom_scalar import layout_pb2

    layout: Any = layout_pb2.Layout()  # pyright: ignore[reportAttributeAccessIssue]
    layout.ParseFromString(events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    charts = [(chart.title, list(chart.multiline.tag)) for chart in layout.category[0].chart]
    assert charts == [("return", ["rollout/return", "eval/return"]), ("total", ["env/total", "eval/total"])]
    for _, shown in charts:
        assert set(shown) <= scalars
    assert not [path for path in tmp_path.iterdir() if path.is_dir() and path.name != "checkpoints"], "one run, not two"


def test_logging_less_often_averages_what_lies_between(tmp_path: Path) -> None:
    case = CASES["continuous"]
    start(tmp_path / "all", *case)
    start(tmp_path / "few", *case, schedule={"log_every": 60}, stop_after=9)
    start(tmp_path / "few", *case, schedule={"log_every": 60}, resume=True)
    every, few = rows(tmp_path / "all"), rows(tmp_path / "few")
    assert [row["step"] for row in few] == [64, 128]
    for index, row in enumerate(few):
        losses = [each["train/value_loss"] for each in every[2 * index : 2 * index + 2]]
        assert row["train/value_loss"] == pytest.approx(np.mean(losses))


def test_rows_are_cut_after_a_step(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\nrubbish\n{"step": 3}\n{"step": 2, "a": 1}\n{"step": 1')
    cut_rows(path, 2)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 2, "a": 1}\n'


def test_it_learns(tmp_path: Path) -> None:
    """Through the real loop: a policy that was random matches what it sees."""
    _, outcome = start(
        tmp_path,
        lambda n: Match(8 * n),
        MappoConfig(rollout_steps=8, hidden=(32,), lr=5e-3),
        schedule={"total_steps": 4_000, "eval_episodes": 100},
        policies={"random": random_policy},
    )
    assert outcome.comparison is not None
    assert outcome.comparison["random"].mean("return") < 0.4
    assert outcome.comparison["learned"].mean("return") > 0.95


def test_nothing_grows(tmp_path: Path) -> None:
    """Python memory after some iterations, after more, and after many: what grows does so in both halves."""
    sizes: list[int] = []
    count = 0

    def measure() -> bool:
        nonlocal count
        count += 1
        if count in (600, 1200, 1800):  # what an evaluation and a checkpoint import once is there by then
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
        return False

    tracemalloc.start()
    try:
        start(
            tmp_path,
            counting,
            MappoConfig(rollout_steps=16, hidden=(4,), epochs=1, minibatches=1),
            schedule={"total_steps": 1801 * WORLDS, "save_every": 800, "eval_every": 1200, "eval_episodes": 2},
            stop=measure,
        )
    finally:
        tracemalloc.stop()
    assert len(sizes) == 3
    assert min(sizes[1] - sizes[0], sizes[2] - sizes[1]) < 30_000


def test_monitoring_survives_a_disk_that_fills_up_and_is_cleared(tmp_path: Path) -> None:
    """A limit on file size stands for the disk; what had been written before and after it is whole."""
    resource = pytest.importorskip("resource")
    said: list[str] = []
    monitor = Monitor(tmp_path, say=said.append)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    scalars = {f"train/{index}": 1.0 for index in range(20)}
    try:
        monitor.row(1, scalars)
        largest = max(path.stat().st_size for path in tmp_path.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 100, before[1]))  # room for a part of a row
        for steps in range(2, 50):
            monitor.row(steps, scalars)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    monitor.row(50, scalars)
    kept = [row["step"] for row in rows(tmp_path)]
    assert kept[0] == 1
    assert kept[-1] == 50
    assert len(kept) < 50
    events = EventAccumulator(str(tmp_path)).Reload()
    shown = [event.step for event in events.Scalars("train/7")]
    assert shown[0] == 1
    assert shown[-1] == 50
    assert len(shown) < 50
    assert len(said) == 2, "once for each kind of file"
    assert all("training goes on" in line for line in said)
