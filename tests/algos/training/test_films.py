"""Films run at a rate that eyes follow, whatever a control step lasts, and every run ends with one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import envs
import train
from algos.report import video
from algos.training import film
from algos.training.evaluation import random_policy
from envs.core import take_worlds
from envs.parallel import ParallelView

BLENDING = ("warehouse", "intersection", "signals", "spread", "traffic_junction", "rovers")


class Clocked:
    """The attributes that `film.pace` reads."""

    def __init__(self, step_seconds: float, max_steps: int, can_blend: bool) -> None:
        self.step_seconds, self.max_steps, self.can_blend = step_seconds, max_steps, can_blend


@pytest.mark.parametrize("step_seconds", [0.01, 1 / 30, 0.1, 0.2, 0.5, 5.0, 60.0])
@pytest.mark.parametrize("max_steps", [0, 10, 240, 10_000])
@pytest.mark.parametrize("blends", [False, True])
def test_a_film_lasts_half_a_minute_and_does_not_flicker(step_seconds: float, max_steps: int, blends: bool) -> None:
    env: Any = Clocked(step_seconds, max_steps, blends)
    pace = film.pace(env)
    assert pace.speed >= 1.0
    assert pace.frames_of(max(max_steps, 1)) * pace.seconds <= 1.35 * film.SECONDS
    assert pace.seconds >= 0.7 / film.FRAME_RATE, "as many frames as asked for, not more"
    assert pace.seconds <= (1.5 / film.FRAME_RATE if blends else max(film.LONGEST_FRAME, 1 / film.FRAME_RATE)) + 1e-9
    shown = step_seconds * pace.every / pace.between / pace.seconds  # of the world's clock a second
    assert shown == pytest.approx(pace.speed)


def test_signals_are_no_film_of_twenty_minutes() -> None:
    env = envs.vector("signals", 1)
    assert env.max_steps * env.step_seconds == 1200.0
    pace = film.pace(env)
    assert 20 <= pace.frames_of(env.max_steps) * pace.seconds <= 40
    real = film.pace(env, speed=1.0)
    assert real.between == 100
    assert real.seconds == pytest.approx(0.05)


@pytest.mark.parametrize("name", BLENDING)
def test_moments_between_two_steps_lead_from_one_to_the_other(name: str) -> None:
    env = envs.vector(name, 2)
    act = envs.heuristic(name)
    env.reset(1)
    for _ in range(12):
        env.step(act(env.batch_state))
    before = env.batch_state
    kept = [np.array(part) for part in before]
    env.step(act(before))
    after = env.batch_state
    pictures = [env.render_between(before, share, world=1) for share in (0.0, 0.5)]
    assert np.array_equal(pictures[0], env.env.render(before, 1))
    assert not np.array_equal(pictures[0], pictures[1]), "something has moved"
    assert pictures[0].shape == pictures[1].shape
    assert all(np.array_equal(part, old) for part, old in zip(before, kept, strict=True)), "states are values"
    between: Any = env.env.between  # pyright: ignore[reportAttributeAccessIssue]
    one, other = (take_worlds(state, np.array([1])) for state in (before, after))
    for share in (0.25, 0.999):
        moment = between(one, other, share)
        assert type(moment) is type(one)


def test_robots_turn_the_shorter_way_round() -> None:
    env: Any = envs.make("warehouse")
    state, _ = env.reset([0])
    body = state.body.copy()
    body[:, :, 2] = 3.1
    turned = body.copy()
    turned[:, :, 2] = -3.1
    moment = env.between(state._replace(body=body), state._replace(body=turned), 0.5)
    assert np.allclose(np.cos(moment.body[:, :, 2]), -1.0)


def test_vehicles_of_signals_follow_their_way_through_the_box() -> None:
    """Each is found again; it moves on steadily, and never further than it could have driven."""
    from envs.signals.frames import _vehicles

    env = envs.vector("signals", 1)
    act = envs.heuristic("signals")
    env.reset(5)
    dynamics: Any = env.env
    lanes = len(dynamics.network.line)
    changed = 0
    for _ in range(25):
        before = env.batch_state
        env.step(act(before))
        after = env.batch_state
        old, new = _vehicles(before, lanes), _vehicles(after, lanes)
        stay = old.keys() & new.keys()
        moments = [dynamics.between(before, after, share) for share in (0.2, 0.4, 0.6, 0.8)]
        assert all(stay <= _vehicles(moment, lanes).keys() for moment in moments)
        for due in stay:
            if before.chain[0, old[due], 3] != after.chain[0, new[due], 3]:
                changed += 1
                seen = [int(moment.chain[0, _vehicles(moment, lanes)[due], 3]) for moment in moments]
                assert set(seen) <= {int(before.chain[0, old[due], 3]), int(after.chain[0, new[due], 3])}
                assert seen == sorted(seen, key=lambda lane: lane != before.chain[0, old[due], 3]), "never back"
    assert changed > 10


def test_frames_are_those_of_one_episode() -> None:
    env = envs.vector("spread", 1, max_steps=7)
    pace = film.pace(env)
    assert pace.between == 2
    assert len(list(film.frames(env, random_policy(env), pace))) == pace.frames_of(7) == 13
    skipping = film.Pace(3.0, 1, 3, 0.1)
    assert len(list(film.frames(env, random_policy(env), skipping))) == skipping.frames_of(7) == 3
    assert len(list(film.frames(env, random_policy(env), pace, stop=lambda: True))) == 1
    endless = film.frames(envs.vector("spread", 1, max_steps=10**6), random_policy(env), pace, most=20)
    assert len(list(endless)) == 20


def test_a_gif_is_made_of_frames_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "_LOOKED_AT", 4)
    frames = (np.full((6, 8, 3), 20 * shade, np.uint8) for shade in range(10))
    gif = video.encode_gif(frames, 0.05)
    from io import BytesIO

    with Image.open(BytesIO(gif)) as picture:
        assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(picture)) == 500


def test_a_film_that_is_too_long_is_refused_before_it_is_made() -> None:
    video.check_length(Path("a.mp4"), 24_000)
    with pytest.raises(ValueError, match=r"1,000,000 frames are too many for .mp4, which takes 40,000"):
        video.check_length(Path("a.mp4"), 10**6)
    video.check_length(Path("a.gif"), 3000)
    with pytest.raises(ValueError, match=r"24,000 frames are too many for .gif.*use .mp4"):
        video.check_length(Path("a.gif"), 24_000)


def test_mp4_without_ffmpeg_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(ValueError, match=r"\.mp4 needs ffmpeg \(pip install imageio-ffmpeg"):
        video.check_path(Path("a.mp4"))


SHORT = ["--env", "spread", "--algo", "ippo", "--n-worlds", "4", "--total-steps", "100", "--algo.hidden", "8"]
SHORT += ["--eval-episodes", "0", "--threads", "1", "--quiet", "--run-name", "run"]


@pytest.mark.parametrize(("more", "films"), [((), [100]), (("--video-every", "100"), [100]), (("--no-videos",), [])])
def test_the_final_policy_of_a_short_run_is_filmed_unless_films_are_off(
    more: tuple[str, ...], films: list[int], tmp_path: Path
) -> None:
    assert train.main([*SHORT, *more, "--log-dir", str(tmp_path)]) == 0
    events = EventAccumulator(str(tmp_path / "run"), size_guidance={"images": 0})
    events.Reload()
    shown = events.Images("eval/greedy_policy") if films else events.Tags()["images"]
    assert [image if isinstance(image, str) else image.step for image in shown] == films


class Shown:
    """A window without a screen."""

    shut = False

    def __init__(self, title: str, frames_per_second: float) -> None:
        self.frames_per_second, self.frames = frames_per_second, 0

    def show(self, frame: Any) -> None:
        self.frames += 1

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("name", "frames", "rate"), [("signals", 10, 20.0), ("warehouse", 4, 20.0), ("edge_market", 1, 5.0)]
)
def test_a_window_shows_no_frame_for_five_seconds(
    name: str, frames: int, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("envs.parallel.Window", Shown)
    env = ParallelView(envs.make(name), render_mode="human")
    env.reset(seed=0)
    assert env._window.frames == 1
    env.step({agent: env.action_space(agent).sample() * 0 for agent in env.agents})
    assert env._window.frames == 1 + frames
    assert env._window.frames_per_second == pytest.approx(rate)
    assert env.metadata["render_fps"] >= 2.0


def test_a_picture_that_fails_is_a_note_and_no_end_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from envs.spread import Spread

    def broken(self: Any, state: Any, world: int = 0) -> Any:
        raise RuntimeError("the pencil\nbroke")

    monkeypatch.setattr(Spread, "render", broken)
    assert train.main([*SHORT, "--log-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().err == "no videos: RuntimeError: the pencil broke\n"


def test_an_evaluation_refuses_a_film_of_too_many_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [*SHORT, "--no-videos", "--env.max-steps", "2000", "--log-dir", str(tmp_path)]
    assert train.main(argv) == 0
    capsys.readouterr()
    evaluate = ["--evaluate", str(tmp_path / "run"), "--episodes", "1", "--video", str(tmp_path / "a.gif")]
    assert train.main([*evaluate, "--video-speed", "0.1"]) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"train\.py: --video .*a\.gif: 39,981 frames are too many for .gif.*--video-speed.*\n", said), (
        said
    )
    assert train.main([*evaluate, "--video-speed", "200", "--json"]) == 0
    with Image.open(tmp_path / "a.gif") as picture:
        assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(picture)) == pytest.approx(1000, rel=0.1)
