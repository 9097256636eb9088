"""Worker processes: the same bytes as without them, deaths and restarts, nothing left behind, resuming from a file."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_toys import Breaks, Masked, Scripted
from processes import are_gone, is_there

from algos.core import VectorEnv, spec_of
from algos.training import checkpoint
from envs import adapters
from envs.batch_checks import differences, fingerprint
from envs.foreign.vector import ForeignVector

ROOT = Path(__file__).parents[3]
LIVES: dict[str, Any] = {"born": (0, 0, 2), "ends": ((3, "die"), (4, "leave"), None), "limit": 6, "state": True}


def run(view: ForeignVector, steps: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    made = [view.reset(seed)]
    for _ in range(steps):
        action = rng.integers(0, int(view.action_space.n), (view.n_worlds, len(view.agents)))  # pyright: ignore
        made += [*view.step(action), view.full_episodes]
    return made


def processes(view: ForeignVector) -> list[int]:
    return [worker.process.pid for worker in view._crew._workers]  # pyright: ignore


def memories() -> int:
    """Returns the shared memory that this process holds open."""
    links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208
    return sum("coterie-worlds" in os.readlink(link) for link in links if link.is_symlink())  # noqa: PTH115


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_nothing(workers: int) -> None:
    draws = {**LIVES, "render_mode": "rgb_array"}
    alone = adapters.vector(Scripted, 5, 0, stagger=True, **draws)
    view = adapters.vector(Scripted, 5, workers, stagger=True, **draws)
    assert view.n_workers == workers
    expected, came = run(alone, 20), run(view, 20)
    assert fingerprint(came) == fingerprint(expected)
    assert any(step.truncated.any() for step in expected[1::3])
    assert np.array_equal(view.render(4), alone.render(4))
    view.close()
    alone.close()


def test_a_foreign_vector_is_a_vector_env() -> None:
    view: VectorEnv = adapters.vector(Masked, 2, 0)  # pyright checks the protocol
    spec = spec_of(view)
    assert (spec.n_agents, spec.obs_dim, spec.state_dim, spec.groups) == (2, 1, 0, ((0, 1),))


def test_there_are_no_more_workers_than_worlds() -> None:
    view = adapters.vector(Scripted, 1)
    assert view.n_workers == 1
    view.close()
    for number, what in ((0, "n_worlds"), (True, "n_worlds"), (2.5, "n_worlds")):
        with pytest.raises(ValueError, match=f"{what} is {number!r}"):
            adapters.vector(Scripted, number)  # pyright: ignore
    with pytest.raises(ValueError, match="n_workers is -1"):
        adapters.vector(Scripted, 2, -1)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (
            "raise",
            r"died in world 2, step 5 of the episode that began with reset\(seed=\d+\): ArithmeticError: the sky is",
        ),
        ("exit", "died without a traceback: it exited with code 7"),
        ("kill", "died without a traceback: killed by SIGKILL"),
    ],
)
def test_a_worker_that_dies_is_named_and_started_again_once(how: str, reason: str) -> None:
    said: list[str] = []
    view = adapters.vector(Breaks, 4, 2, notify=said.append, how=how, n=2)
    before = view.reset(0)
    pids = processes(view)
    fine = np.ones((4, 2), np.int64)
    for _ in range(5):
        _, before = view.step(fine)
    final, following = view.step(np.where(np.arange(4)[:, None] == 2, 3, fine))  # world 2 is the second worker's
    assert len(said) == 1
    assert re.match(rf"worker 1 \(worlds 2 to 3, process {pids[1]}\) {reason}", said[0]), said[0]
    if how == "raise":
        assert "Traceback" in said[0]
        assert 'foreign_toys.py", line' in said[0]
    assert processes(view)[0] == pids[0]
    assert processes(view)[1] != pids[1]

    # The other worlds' steps count; of the lost worlds only the step before is known.
    assert final.truncated.tolist() == [False, False, True, True]
    assert not final.terminated.any()
    assert final.alive.all()
    assert final.reward.tolist() == [[1, 11], [1, 11], [0, 0], [0, 0]]
    assert np.array_equal(final.obs[2:], before.obs[2:])
    assert final.obs[:, 0, 1].tolist() == [6, 6, 5, 5]
    assert following.obs[:, 0, 1].tolist() == [6, 6, 0, 0]
    assert not view.full_episodes.any()
    assert not np.array_equal(following.obs[2:, :, 2], before.obs[2:, :, 2]), "another episode has another seed"
    for _ in range(5):
        assert view.step(fine)[0].reward.tolist() == [[1, 11]] * 4

    with pytest.raises(adapters.WorkerError, match=r"worker 1 .* died") as raised:
        view.step(np.where(np.arange(4)[:, None] == 3, 3, fine))
    assert "\n" not in str(raised.value)
    assert ("the sky\nis falling" in raised.value.traceback) == (how == "raise")
    assert len(said) == 1
    saved = view.state_dict()  # a run that ends here can still write its checkpoint
    assert saved["n_worlds"] == 4
    pids = processes(view)
    view.close()
    assert are_gone(pids)


def test_each_worker_is_started_again_once() -> None:
    said: list[str] = []
    view = adapters.vector(Scripted, 3, 3, notify=said.append)
    view.reset(0)
    for worker in range(3):
        os.kill(processes(view)[worker], signal.SIGKILL)  # between steps, as a system that is short of memory does
        final, _ = view.step(np.zeros((3, 3), np.int64))
        assert final.truncated.tolist() == [w == worker for w in range(3)]
        assert f"worker {worker} (world {worker}, " in said[-1]
    view.reset(1)
    os.kill(processes(view)[0], signal.SIGKILL)
    with pytest.raises(adapters.WorkerError, match=r"worker 0 .* killed by SIGKILL"):
        view.reset(2)
    view.close()


def test_in_this_process_an_error_is_named_at_once() -> None:
    view = adapters.vector(Breaks, 2, 0)
    view.reset(0)
    for _ in range(5):
        view.step(np.zeros((2, 3), np.int64))
    with pytest.raises(
        adapters.WorkerError, match=r"the environment died in world 0, step 5 .*ArithmeticError"
    ) as raised:
        view.step(np.full((2, 3), 3))
    assert "foreign_toys.py" in raised.value.traceback
    assert isinstance(raised.value.__cause__, ArithmeticError)


def test_a_broken_start_is_an_error_and_leaves_nothing() -> None:
    foreign = adapters.prepare(Scripted)
    broken = adapters.Foreign(
        foreign.name, adapters.Recipe("no_such_module.at_all", {}, adapters.Options()), foreign.layout
    )
    gc.collect()
    before = memories()
    with pytest.raises(
        adapters.WorkerError, match=r"worker 0 .* died when it was built: there is no module 'no_such_mod"
    ):
        broken.vector(2)
    gc.collect()
    assert memories() == before


def test_nothing_is_left_of_a_view_that_was_closed_or_forgotten() -> None:
    gc.collect()
    before = memories()
    for forget in (False, True):
        view = adapters.vector(Scripted, 4, 2)
        view.reset(0)
        pids = processes(view)
        assert all(map(is_there, pids))
        assert memories() > before
        if not forget:
            view.close()
            view.close()
            with pytest.raises(RuntimeError, match="reset"):
                view.step(np.zeros((4, 3), np.int64))
        del view
        gc.collect()
        assert are_gone(pids)
        assert memories() == before


SCRIPT = """
    import os, sys, time
    import wave  # a process that imports this script again has it too
    import numpy as np
    from gymnasium.spaces import Box, Discrete
    from pettingzoo import ParallelEnv
    from envs import adapters

    class Mine(ParallelEnv):
        metadata = {}
        possible_agents = ["me"]
        def observation_space(self, agent): return Box(0, 1e9, (2,))
        def action_space(self, agent): return Discrete(2)
        def reset(self, seed=None, options=None):
            self.agents = ["me"]
            return {"me": self.look()}, {"me": {}}
        def step(self, actions):
            print("an environment that prints")
            return {"me": self.look()}, {"me": 1.0}, {"me": False}, {"me": False}, {"me": {}}
        def look(self):
            return np.array([os.getpid(), "wave" in sys.modules], np.float32)

    view = adapters.vector(Mine, 2, 2)
    step = view.reset(0)
    view.step(np.zeros((2, 1), int))
    print(*step.obs[:, 0].astype(int).ravel(), flush=True)
"""


def script(tmp_path: Path, end: str) -> list[str]:
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT) + textwrap.dedent(end))
    return [sys.executable, str(path)]


@pytest.mark.parametrize(("end", "code"), [("", 0), ("1 / 0", 1), ("sys.exit(3)", 3)])
def test_a_script_without_a_guard_ends_with_its_workers(tmp_path: Path, end: str, code: int) -> None:
    """The script defines the class, is not imported again, and its stdout has no output of the environments."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(script(tmp_path, end), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    first, again_0, second, again_1 = map(int, done.stdout.split())
    assert (again_0, again_1) == (0, 0)
    assert first != second
    assert done.stderr.count("an environment that prints") >= 2
    assert are_gone([first, second])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(tmp_path: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # a shell that runs the tests in the background may have made its children ignore Ctrl-C
    listen = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command = script(tmp_path, listen + "time.sleep(300)")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as started:
        assert started.stdout is not None
        first, _, second, _ = map(int, started.stdout.readline().split())
        assert is_there(first)
        os.kill(first, signal.SIGINT)  # Ctrl-C reaches all processes of a terminal: workers ignore it
        time.sleep(0.1)
        assert is_there(first)
        started.send_signal(number)
        assert are_gone([first, second])


def test_going_on_truncates_what_ran_and_begins_anew() -> None:
    view = adapters.vector(Scripted, 3, 0, **LIVES)
    *_, last, _ = run(view, 8, seed=4)
    saved = checkpoint.unpack(checkpoint.pack(view.state_dict()))
    other = adapters.vector(Scripted, 3, 2, **LIVES)
    loaded = other.load_state_dict(saved)
    assert not differences(loaded, last)
    assert "start new episodes" in other.resume_note
    again = other.state_dict()
    assert again["seed"] == 4
    final, following = other.step(np.zeros((3, 3), np.int64))
    assert final.truncated.all()
    assert not final.terminated.any()
    assert not final.reward.any()
    assert np.array_equal(final.obs, last.obs)
    assert np.array_equal(final.alive, last.alive)
    assert not other.full_episodes.any()
    assert following.obs[:, 0, 1].tolist() == [0, 0, 0]
    assert following.alive.tolist() == [[True, True, False]] * 3

    # World w's next episode is the one that it would have had without the death.
    fresh = adapters.vector(Scripted, 3, 0, **LIVES)
    fresh.reset(4)
    episodes = saved["episode"] + 1
    for world in range(3):
        seed = adapters.episode_seed(4, world, int(episodes[world]))
        assert following.obs[world, 0, 2] == np.float32(np.random.default_rng(seed).random())
    assert np.array_equal(other.state_dict()["episode"], episodes)
    assert other.step(np.ones((3, 3), np.int64))[0].reward[0].tolist() == [1, 11, 0]
    other.close()


def test_loading_refuses_what_does_not_fit() -> None:
    view = adapters.vector(Scripted, 2, 0)
    view.reset(0)
    saved = view.state_dict()
    with pytest.raises(ValueError, match="saved n_worlds is 2, but that of this view is 3"):
        adapters.vector(Scripted, 3, 0).load_state_dict(saved)
    with pytest.raises(ValueError, match="saved name is 'Scripted', but that of this view is 'Breaks'"):
        adapters.vector(Breaks, 2, 0).load_state_dict(saved)
    with pytest.raises(ValueError, match=r"saved step.obs is float32 \(2, 3, 3\); float32 \(2, 2, 3\) is expected"):
        adapters.vector(Scripted, 2, 0, n=2).load_state_dict(saved)
    with pytest.raises(RuntimeError, match="reset"):
        adapters.vector(Scripted, 2, 0).state_dict()
    with pytest.raises(ValueError, match="seed is -1"):
        view.reset(-1)
