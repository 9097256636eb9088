"""Every number that can be given has a range, and what is outside is one line before anything starts."""

from __future__ import annotations

import dataclasses
import importlib
import math
import re
from typing import Any

import pytest
from gymnasium.spaces import Box, Discrete

import envs
import train
from algos import ALGOS
from algos.cli.evaluating import EvaluateOptions
from algos.cli.options import UsageError
from algos.cli.resuming import ResumeOptions
from algos.core import Spec
from algos.training import footprint
from algos.training.run_config import RunOptions
from envs.adapters import Options

VALUES = (0, -1, 1e18, 2**63, 10**30, math.nan, math.inf, -math.inf, -1e18)
CONFIGS: dict[str, Any] = {
    **{f"env {name}": importlib.import_module(f"envs.{name}").Config() for name in envs.ENVS},
    **{f"algo {name}": entry.config() for name, entry in ALGOS.items()},
    "adapter": Options(),
    "run": RunOptions(),
    "evaluate": EvaluateOptions(evaluate="x"),
    "resume": ResumeOptions(resume="x"),
}
NUMBERS = [
    (where, field.name)
    for where, config in CONFIGS.items()
    for field in dataclasses.fields(config)
    if re.search(r"\b(int|float)\b", str(field.type))
]
ENV_OF, ALGO_OF = "spread", "mappo"


def test_there_are_options_to_try() -> None:
    assert len(NUMBERS) > 150


@pytest.mark.parametrize(
    ("env", "options", "said"),
    [
        ("intersection", {"flow": math.nan}, "flow=nan is out of range"),
        ("intersection", {"flow": 1e300}, "flow=1e+300 is out of range"),
        ("warehouse", {"n_robots": 10**300}, "n_robots=a number of more than twenty digits is out of range"),
        ("spread", {"max_steps": 10**300}, "max_steps=a number of more than twenty digits is out of range"),
    ],
)
def test_a_message_shows_what_came(env: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        envs.config(env, **options)


@pytest.mark.parametrize(("where", "name"), NUMBERS)
def test_no_number_is_without_a_range(where: str, name: str) -> None:
    config = CONFIGS[where]
    kind = str(next(field.type for field in dataclasses.fields(config) if field.name == name))
    for value in VALUES:
        given = value if "int" not in kind or not math.isfinite(value) else int(value)
        given = (given,) if "tuple" in kind else given
        try:
            dataclasses.replace(config, **{name: given})
        except ValueError as error:
            line = str(error)
            assert "\n" not in line
            assert name in line, line
            assert len(line) < 300
        else:
            assert value in (0, -1), f"{where}: {name} may be {value!r}"


@pytest.mark.parametrize(
    ("where", "name"), [pair for pair in NUMBERS if pair[0].split()[0] in ("env", "algo", "run")][::3]
)
def test_the_command_refuses_it_in_one_line_with_the_option(
    where: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    part, _, which = where.partition(" ")
    env, algo = which if part == "env" else ENV_OF, which if part == "algo" else ALGO_OF
    option = f"--{name}" if part == "run" else f"--{part}.{name}"
    option = option.replace("_", "-")
    value = ("1e18", "9223372036854775808", "nan", "-1e18", "inf")[len(name) % 5]
    assert train.main(["--env", env, "--algo", algo, f"{option}={value}"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(rf"train\.py: {re.escape(option)}[ =:].*\n", said.err), said.err
    assert re.search(r"allowed are|it must be|is out of range: give|is not allowed: give|not a whole number", said.err)


def test_the_option_is_named_as_it_was_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--env", "warehouse", "--algo", "mappo", "--env.n_robots=0"]) == 2
    assert capsys.readouterr().err.startswith("train.py: --env.n_robots=0 is out of range")
    assert train.main(["--env", "spread", "--algo", "maddpg", "--algo.warm-up", "1e9"]) == 2
    assert "--algo.warm-up is 1000000000; allowed are 0 to --algo.replay-size, which is" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["meta", "mps", "toaster", "a\nb", "cpu:x", "cuda:99999999999", ""])
def test_a_device_that_cannot_compute_is_refused(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--env", "spread", "--algo", "mappo", "--device", device]) == 2
    said = capsys.readouterr().err
    assert said.startswith("train.py: --device")
    assert said.count("\n") == 1
    assert "allowed are cpu" in said


def spec(n_agents: int = 3, obs_dim: int = 10, **more: Any) -> Spec:
    return Spec(n_agents, obs_dim, 0, Discrete(5), (tuple(range(n_agents)),), **more)


def needed(algo: str, of: Spec, **options: Any) -> dict[str, int]:
    config = ALGOS[algo].config(**options)
    parts = ALGOS[algo].footprint(of, config, n_worlds=64, action_mask=False, device="cpu")
    return {part.name: part.bytes for part in parts}


def test_more_minibatches_than_there_is_to_share_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"minibatches is 100000; a rollout of 64 worlds x 64 steps makes at most 4096"
    ):
        needed("mappo", spec(), minibatches=100_000)
    with pytest.raises(ValueError, match="of 64 worlds makes at most 64 of them"):
        needed("mappo", spec(), minibatches=65, gru=8)
    needed("ippo", spec(), minibatches=4096)


@pytest.mark.parametrize("algo", ["mappo", "maddpg"])
@pytest.mark.parametrize("masks", [False, True])
def test_experience_is_counted_to_the_byte(algo: str, masks: bool) -> None:
    from algos.experience.replay import Replay
    from algos.experience.rollout import Rollout

    of = spec()
    config = ALGOS[algo].config(
        **({"rollout_steps": 7} if algo == "mappo" else {"replay_size": 640, "warm_up": 10, "prioritised": 0.6 * masks})
    )
    parts = ALGOS[algo].footprint(of, config, n_worlds=64, action_mask=masks, device="cpu")
    if algo == "mappo":
        rollout = Rollout(of, 7, 64, keep=["action_mask"] * masks)
        made = sum(field.numel() * field.element_size() for field in rollout.fields.values())
    else:
        made = Replay(of, 640, 64, keep=["action_mask"] * masks, prioritised=config.prioritised).nbytes
    assert parts[0].bytes == made


@pytest.mark.parametrize("algo", list(ALGOS))
@pytest.mark.parametrize("options", [{}, {"share": "none"}, {"agent_id": True}, {"credit": "team"}, {"hidden": (9, 5)}])
def test_parameters_are_counted(algo: str, options: dict[str, Any]) -> None:
    import torch

    of = spec()
    made = ALGOS[algo].algorithm(of, ALGOS[algo].config(**options), seed=0)
    networks = [made.policy, made.critic] if hasattr(made, "critic") else [made.policy, made.critics]
    count = sum(parameter.numel() for network in networks for parameter in network.parameters())
    each = 16 if hasattr(made, "critic") else 20  # with Adam's moments and the gradient; and the target network
    assert needed(algo, of, **options)["networks"] == pytest.approx(each * count, rel=0.35)
    assert torch.get_num_threads() >= 1


def test_what_does_not_fit_names_the_options_that_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """162 agents that see 13 x 13 x 5 numbers each: a battle of magent2."""
    monkeypatch.setattr(footprint, "available", lambda device: 24 * 10**9)
    battle = spec(162, 845)
    config = ALGOS["maddpg"].config()
    parts = ALGOS["maddpg"].footprint(battle, config, n_worlds=64, action_mask=False, device="cpu")
    with pytest.raises(
        ValueError, match=r"needs \d+ GB of memory on cpu \(the replay 27\d GB, a gradient step .*GB\)"
    ) as error:
        footprint.refuse_too_large(parts)
    assert "24 GB are available" in str(error.value)
    for mend in ("--algo.replay-size", "--algo.batch", "--algo iddpg"):
        assert mend in str(error.value)
    small = ALGOS["iddpg"].config(replay_size=10_000, batch=64)
    footprint.refuse_too_large(ALGOS["iddpg"].footprint(battle, small, n_worlds=64, action_mask=False, device="cpu"))


def test_the_command_refuses_what_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    monkeypatch.setattr(footprint, "available", lambda device="cpu": 10**9)
    argv = ["--env", "spread", "--algo", "maddpg", "--algo.replay-size", "1e9", "--log-dir", str(tmp_path)]
    assert train.main(argv) == 2
    assert re.fullmatch(r"train\.py: .*the replay 51\d GB.*lower --algo.replay-size\n", capsys.readouterr().err)
    monkeypatch.setattr(footprint, "available", lambda device="cpu": 10**6)
    monkeypatch.setattr(footprint, "refuse_too_large", lambda parts: None)
    assert train.main(["--env", "spread", "--algo", "ippo", "--n-worlds", "5000", "--log-dir", str(tmp_path)]) == 2
    assert re.search(r"--n-worlds 5000: a world of spread .* take at most \d+ worlds", capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_limits_of_control_groups_count(tmp_path: Any) -> None:
    """Of both versions, and those of the groups above."""

    def write(folder: str, **files: str) -> None:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (tmp_path / folder / name.replace("__", ".")).write_text(text)

    write("a", memory__max="1000\n", memory__current="400\n", memory__stat="anon 5\ninactive_file 100\n")
    write("a/b", memory__max="max\n", memory__current="300\n", memory__stat="inactive_file 0\n")
    write(
        "memory/c", memory__limit_in_bytes="500", memory__usage_in_bytes="450", memory__stat="total_inactive_file 20\n"
    )
    membership = tmp_path / "cgroup"
    membership.write_text("0::/a/b\n")
    assert footprint._free_of_groups(membership, tmp_path) == [700]
    membership.write_text("5:cpu,cpuacct:/\n4:memory:/c/d\n")
    assert footprint._free_of_groups(membership, tmp_path) == [70]
    assert footprint._free_of_groups(tmp_path / "none", tmp_path) == []
    assert (footprint.available() or 1) > 0


def test_a_box_counts_its_entries() -> None:
    of = Spec(2, 4, 0, Box(-1, 1, (3,)), ((0, 1),))
    assert of.action_dim == 3


def test_hidden_layers_are_checked_one_by_one() -> None:
    for hidden in ((), (64, 0), (64, 10**10), (64,) * 33, (1.5,), (True,)):
        with pytest.raises(ValueError, match="hidden is"):
            ALGOS["mappo"].config(hidden=hidden)


def test_a_mistake_that_python_hands_in_is_a_value_error() -> None:
    for name, value in (("lr", "1"), ("epochs", 2.0), ("anneal", 1.5), ("critic", "centrl"), ("gru", True)):
        with pytest.raises(ValueError, match=f"{name} is"):
            ALGOS["mappo"].config(**{name: value})
    assert issubclass(UsageError, ValueError)


def test_many_steps_of_a_target_are_counted() -> None:
    few, many = needed("maddpg", spec(), n_step=1), needed("maddpg", spec(), n_step=1000)
    assert many["a gradient step"] - few["a gradient step"] >= 999 * 512 * 3 * 8


@pytest.mark.parametrize(("algo", "first"), [("mappo", "3,200"), ("maddpg", "5,000")])
def test_a_run_that_ends_before_it_learns_says_so(
    algo: str, first: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--env", "spread", "--algo", algo, "--total-steps", "200", "--eval-episodes", "0", "--no-videos"]
    argv += ["--algo.hidden", "8", "--log-dir", str(tmp_path), "--threads", "1"]
    assert train.main(argv) == 0
    assert f"nothing will be learned: 200 steps end before the first update, after {first} (" in capsys.readouterr().err


@pytest.mark.parametrize("layout", ["procedural:100000x100000:1", "procedural:65x64:1", "procedural:1e9x3:1"])
def test_a_map_that_would_take_all_memory_is_refused_at_once(layout: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--env", "warehouse", "--algo", "mappo", "--env.layout", layout]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"train.py: --env.layout '{layout}' cannot be made (")
    assert said.count("\n") == 1
    with pytest.raises(ValueError, match="a map of 100 x 100 cells is too large"):
        envs.make("warehouse", layout="\n".join(["#" * 100] * 100))


def test_what_lies_on_a_gpu_is_held_against_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "available", lambda device: {"cpu": 10**12, "cuda:1": 10**8}[device])
    config = ALGOS["maddpg"].config()

    def parts(device: str, **options: Any) -> list[footprint.Part]:
        chosen = dataclasses.replace(config, **options)
        return ALGOS["maddpg"].footprint(spec(8, 100), chosen, n_worlds=64, action_mask=False, device=device)

    with pytest.raises(ValueError, match=r"memory on cuda:1 \(the replay 1\.\d+ GB\), 100 MB are available"):
        footprint.refuse_too_large(parts("cuda:1"))
    footprint.refuse_too_large(parts("cuda:1", replay_on="memory"))
    footprint.refuse_too_large(parts("cpu:0"))
    rollout = {
        device: ALGOS["mappo"].footprint(spec(), ALGOS["mappo"].config(), n_worlds=64, action_mask=False, device=device)
        for device in ("cpu", "cuda:1")
    }
    assert rollout["cuda:1"][2].bytes == rollout["cpu"][2].bytes + rollout["cpu"][0].bytes, "a copy goes there"
