"""Teachers from disk: what is matched by name, what they answer, how good they are found, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from run_folders import change, untrained
from teachers import LETTERS, Lock, Mixed, Named, Wide, knowing, student
from toys import Array, Match, Reach

import train
from algos import load_policy
from algos.nets.actor import categorical
from algos.peers.config import PeersConfig
from algos.peers.council import Council, accompany
from algos.peers.returns import Returns
from algos.peers.school import School
from algos.peers.teacher import Teacher, match, measured, teachers_of
from algos.peers.tutor import Tutor
from algos.training import checkpoint, runfolder
from algos.training.schedule import Schedule
from algos.training.session import Session

CPU = torch.device("cpu")


def of(folder: Path, env: Any) -> Teacher:
    return teachers_of([str(folder)], env, CPU, None)[0]


def play(*given: Any, **how: Any) -> tuple[Array, Array]:
    found = measured(*given, **how)
    assert found is not None
    return found


def test_entries_are_matched_by_name() -> None:
    found = match(("a", "b", "c"), ("x", "c", "a"), (3,), (3,))
    assert found.entries == (2, -1, 1)
    assert (found.missing, found.unused, found.named) == (("b",), ("x",), True)


def test_without_names_shapes_must_be_equal() -> None:
    assert match((), ("x", "y"), (2,), (2,)).entries == (0, 1)
    with pytest.raises(ValueError, match=r"have shape \(3,\), and this task's \(2,\); its own have no names"):
        match((), ("x", "y"), (3,), (2,))
    with pytest.raises(ValueError, match="this task's have no names"):
        match(("x", "y"), (), (2,), (3,))
    with pytest.raises(ValueError, match="none of its observation entries has the name"):
        match(("a",), ("x",), (1,), (1,))


def test_a_line_says_what_was_matched(tmp_path: Path) -> None:
    folder = knowing(tmp_path, Named())
    assert of(folder, Mixed()).line == (
        f"teacher {folder.name}: 3 of 4 observation entries are shared by name; missing: c; not used: noise"
    )
    assert of(folder, Match()).line.endswith("all 4 observation entries are taken in their order, for lack of names")


@pytest.mark.parametrize(
    ("algo", "toy", "options"),
    [
        ("mappo", Named, {"algo_obs_norm": "on"}),
        ("mappo", Named, {"algo_share": "none", "algo_obs_norm": "on"}),
        ("iddpg", Named, {"algo_agent_id": True}),
        ("ippo", Reach, {}),
        ("ippo", Reach, {"algo_share": "none"}),
        ("maddpg", Reach, {}),
    ],
)
def test_it_answers_as_the_loaded_policy_does(algo: str, toy: Any, options: dict[str, Any], tmp_path: Path) -> None:
    there = toy(4, 3)
    there.reset(0)
    folder = untrained(tmp_path, there, algo, name="toy", **options)
    path, content = checkpoint.load_latest(folder / runfolder.CHECKPOINTS)
    rng = torch.Generator().manual_seed(0)
    for name, numbers in content["algo"]["policy"].items():
        if name.startswith("obs_norm"):
            numbers.copy_(torch.rand(numbers.shape, generator=rng) + 1.0)
        elif "weights" in name:
            numbers.copy_(torch.randn(numbers.shape, generator=rng))
    checkpoint.save(path, content)
    blind = not options.get("algo_agent_id") and options.get("algo_share") != "none"
    here = (Mixed if toy is Named else Reach)(4, 5 if blind else 2)
    seen = torch.randn(7, here.n_agents, here.obs_dim, generator=rng)
    given = seen
    if toy is Named:  # as the teacher reads them, its own means in the place of what is missing
        place = {name: i for i, name in enumerate(Mixed.obs_names)}
        norm = content["algo"]["policy"].get("obs_norm.mean", torch.zeros(1, 4))
        mean = norm.float() if blind else norm.float().expand(3, -1)[:2]
        missing = mean.expand(here.n_agents, -1)
        columns = [seen[..., place[name]] if name in place else missing[:, i].expand(7, -1) for i, name in
                   enumerate(LETTERS)]  # fmt: skip
        given = torch.stack(columns, -1)
    actor: Any = load_policy(folder).acting
    with torch.no_grad():
        if blind:
            head = actor(given).head
        else:  # the third of its agents is not here
            head = actor(torch.cat([given, torch.zeros(7, 1, given.shape[-1])], 1)).head[:, :2]
    answer, spread = of(folder, here).answer(seen, None)
    if actor.discrete:
        torch.testing.assert_close(answer, categorical(head, None).exp(), rtol=0, atol=1e-6)
    else:
        torch.testing.assert_close(answer, actor.means(head), rtol=0, atol=1e-6)
        variance = (2.0 * actor.deviations()).exp()
        expected = (variance[:1] if blind else variance[:2]).expand_as(head)
        torch.testing.assert_close(spread, expected, rtol=0, atol=1e-6)


def test_one_learner_of_a_population_teaches_any_number_of_agents(tmp_path: Path) -> None:
    folder, here = knowing(tmp_path, Named(), algo_share="none"), Named(2, 5)
    path, content = checkpoint.load_latest(folder / runfolder.CHECKPOINTS)
    with torch.no_grad():
        content["algo"]["policy"]["trunk.head.weights.0"][1] = torch.randn(8, 4, generator=torch.Generator())
    checkpoint.save(path, content)
    run = tmp_path / "run"
    teacher = teachers_of([f"{folder}:1"], here, CPU, run)[0]
    assert teacher.name == f"{folder.name}-learner-1"
    seen = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))
    actor: Any = load_policy(folder, learner=1).acting
    expected = categorical(torch.stack([actor(one).head[:, 0] for one in seen.unsqueeze(-2).unbind(1)], 1), None).exp()
    torch.testing.assert_close(teacher.answer(seen, None)[0], expected, rtol=0, atol=1e-6)
    other: Any = teachers_of([f"{folder}:0"], here, CPU, None)[0]
    assert not torch.allclose(other.answer(seen, None)[0], expected, atol=0.1)
    shutil.rmtree(folder)  # the run keeps a copy
    kept = teachers_of([f"{folder}:1"], here, CPU, run)[0]
    torch.testing.assert_close(kept.answer(seen, None)[0], expected, rtol=0, atol=1e-6)
    alike = knowing(tmp_path / "alike", Named())
    for named, words in ((f"{alike}:0", "agents of this run share parameters"), (f"{folder}:0", "there is no such")):
        with pytest.raises(ValueError, match=words):
            teachers_of([named], here, CPU, None)


def test_what_cannot_teach_is_refused_in_a_line(tmp_path: Path) -> None:
    folder = knowing(tmp_path / "alike", Named())
    own = knowing(tmp_path / "own", Named(), algo_share="none")
    memory = untrained(tmp_path / "memory", reset(Named()), "ippo", name="toy", algo_gru=4)
    for where, env, words in (
        (folder, Wide(), r"acts in Discrete\(4\), and this task is played in Box"),
        (own, Named(4, 3), "its agents do not act alike, and toy_2 is none of them"),
        (memory, Named(), "it remembers or talks"),
        (tmp_path / "none", Named(), "there is no such folder"),
    ):
        with pytest.raises(ValueError, match=words) as refused:
            of(where, env)
        assert str(refused.value).startswith("teacher is ")
        assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="teacher holds two run folders named"):
        teachers_of([str(folder), str(own.parent / ".." / "alike" / folder.name)], Named(), CPU, None)
    with pytest.raises(
        ValueError, match="teacher needs policies that act on what they see now: leave out gru and comm"
    ):
        Tutor(student(Named(), gru=4), surer=False, teachers=[of(folder, Named())])


def test_spaces_of_foreign_agents_must_be_read_alike(tmp_path: Path) -> None:
    folder = knowing(tmp_path, Match())
    actor: Any = load_policy(folder).acting
    here: Any = Match()
    four, five = ({"kinds": [{"observation": {"kind": "discrete", "n": n, "start": 0}}]} for n in (4, 5))
    record = dataclasses.replace(runfolder.read_config(folder), own_spaces={"agents": [0, 0], **four})
    here.own_spaces = {"agents": [0, 0, 0], **four}
    Teacher("x", actor, record, here)
    here.own_spaces = {"agents": [0, 0, 0], **five}
    with pytest.raises(ValueError, match="its agents observe or act in other spaces than those of this task"):
        Teacher("x", actor, record, here)


def reset(env: Any) -> Any:
    env.reset(0)
    return env


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"teacher_episodes": 5}, "teacher_episodes is 5, which has no effect without teacher"),
        (
            {"teacher": ("x",), "distill_states": "surer"},
            "critics of teachers from disk foretell returns of another run",
        ),
        ({"teacher": ("x",), "distill_floor": 0.1}, "distill_floor is 0.1, which has no effect without distill"),
        ({"teacher": ("",)}, r"teacher is \('',\); it must be a list of texts"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PeersConfig(**options)
    PeersConfig(teacher=("x",), distill_every=5, window=10)


def test_how_good_it_is_is_measured_in_the_learners_task(tmp_path: Path) -> None:
    good = of(knowing(tmp_path / "good", Named()), Named())
    bad = of(knowing(tmp_path / "bad", Named(), right=False), Named())
    partly = of(knowing(tmp_path / "partly", Named()), Mixed())
    how: dict[str, Any] = {"seed": 3, "learners": 1}
    mean, error = play(good, lambda n: Named(n, 3), 200, **how)
    assert mean.shape == (1,)
    assert mean[0] > 0.95
    assert 0.0 < error[0] < 0.02
    assert play(bad, lambda n: Named(n, 3), 200, **how)[0][0] < 0.05
    mean, error = play(partly, lambda n: Mixed(n, 2), 400, seed=3, learners=2)  # it does not see one of four
    assert mean == pytest.approx([0.81, 0.81], abs=0.07)
    assert error == pytest.approx(np.sqrt(mean * (1 - mean) / 400), rel=0.1)
    again = play(partly, lambda n: Mixed(n, 2), 400, seed=3, learners=2)
    assert np.array_equal(again[0], mean)


def returns_of(*means: float) -> Returns:
    found = Returns(len(means), 10)
    found.add(np.array(means) + np.tile([[-1.0], [1.0]], (5, 1)))
    return found


def test_its_weight_falls_to_zero_as_the_learner_catches_up(tmp_path: Path) -> None:
    teacher, told = of(knowing(tmp_path, Named()), Named()), []
    school = School(PeersConfig(teacher=("x",), distill_strength=3.0), student(Named()), ("all agents",), [teacher])
    school.begin(lambda _: (np.array([10.0]), np.array([0.5])), tell=told.append)
    assert [line["kind"] for line in told] == ["matched", "measured"]
    nobody, told[:] = np.zeros((1, 1), bool), []
    weights = [
        school.look(returns_of(mean), nobody, tell=told.append)["peers/weight"] for mean in (0.0, 8.5, 9.0, 10.0, 12.0)
    ]
    scalars = school.look(returns_of(9.0), nobody, tell=told.append)
    ahead = 10.0 - 9.0 - np.hypot(0.5, returns_of(9.0).error[0])
    assert scalars[f"peers/lead_of_{teacher.name}"] == pytest.approx(ahead)
    assert weights[0] == 3.0
    assert 3.0 > weights[1] > weights[2] > 0.0
    assert weights[3:] == [0.0, 0.0]
    ways = [(line["kind"], line["from"], line["to"]) for line in told]
    assert ways == [(kind, teacher.name, "all agents") for kind in ("teaches", "stops", "teaches")]
    assert told[0]["of_source"] == 10.0
    assert school.look(Returns(1, 10), nobody, tell=told.append)["peers/weight"] == 0.0  # nothing is known of it yet


@pytest.mark.parametrize("share", ["all", "none"])
@pytest.mark.parametrize("algo", ["ippo", "iddpg"])
def test_its_answer_is_the_lesson(share: str, algo: str, tmp_path: Path) -> None:
    there, here = (Named(4, 2), Named(4, 2, masked=True))
    teacher = of(knowing(tmp_path, there), here)
    learner = student(here, algo, share=share)
    tutor, p = Tutor(learner, surer=False, teachers=[teacher]), learner.learners
    weights = torch.zeros(p, p + 1)
    weights[0, p] = 2.0
    if p > 1:  # the second learns half from the first, half from disk
        weights[1, 0] = weights[1, p] = 1.0
    tutor.appoint(weights)
    step = here.reset(1)
    obs, alive = torch.from_numpy(step.obs), torch.from_numpy(step.alive)
    mask = torch.from_numpy(step.action_mask)
    alive[0, 1] = False
    lesson = tutor.lesson(obs, alive, mask)
    assert lesson is not None
    seen = obs * alive.unsqueeze(-1)
    answer, _ = teacher.answer(seen, mask)
    torch.testing.assert_close(lesson.target[:, 0], answer[:, 0])
    assert torch.equal(lesson.weight, 2.0 * alive)
    own = categorical(learner.policy(seen).head, mask).exp()
    if p > 1:
        theirs = categorical(learner.policy(seen.flip(1)).head.flip(1), mask).exp()  # the first in the second's place
        torch.testing.assert_close(lesson.target[:, 1], 0.5 * (answer + theirs)[:, 1])
    else:
        torch.testing.assert_close(lesson.target, answer)
        away = (answer * (answer.clamp(min=1e-30).log() - own.clamp(min=1e-30).log())).sum(-1)
        torch.testing.assert_close(tutor.divergence, ((away * alive).sum() / alive.sum()).view(1), rtol=1e-4, atol=1e-5)
    assert tutor.divergence.shape == (p,)
    tutor.appoint(torch.zeros(p, p + 1))
    assert tutor.lesson(obs, alive, mask) is None


def test_continuous_learners_of_either_kind_take_lessons(tmp_path: Path) -> None:
    here = reset(Reach(4, 3))
    folder = untrained(tmp_path, here, "ippo", name="toy")
    path, content = checkpoint.load_latest(folder / runfolder.CHECKPOINTS)
    content["algo"]["policy"]["trunk.head.bias"] += 3.0  # means beyond the Box
    checkpoint.save(path, content)
    for algo, share in (("mappo", "all"), ("iddpg", "all"), ("iddpg", "none")):
        learner = student(here, algo, share=share)
        teacher = of(folder, here)
        tutor, p = Tutor(learner, surer=False, teachers=[teacher]), learner.learners
        tutor.appoint(torch.cat([torch.zeros(p, p), torch.ones(p, 1)], 1))
        lesson = tutor.lesson(torch.randn(5, 3, 1), torch.ones(5, 3, dtype=torch.bool), None)
        assert lesson is not None
        assert lesson.spread is not None
        top = float(lesson.target.max())
        assert top == 1.0 if algo == "iddpg" else top > 1.5  # tanh could never be beyond
        assert torch.isfinite(tutor.divergence).all()


class Short:
    """A run on a toy with a companion, in a folder."""

    def __init__(self, folder: Path, options: dict[str, Any], *, toy: Any = Mixed, share: str = "all", **how: Any):
        self.make = lambda n: toy(n, 3)
        self.folder, self.options, self.share = folder, options, share
        self.how = {"rollout_steps": 8, "minibatches": 2, "anneal": False, "share": share, **how}
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        self.algo: Any = None
        self.council: Council | None = None

    def session(self, steps: int, *, resume: bool = False, stop: Any = lambda: False) -> Session:
        env = self.make(16)
        self.algo = student(env, **self.how)
        content = checkpoint.load_latest(self.folder / "checkpoints")[1] if resume else None
        made = 0 if content is None else content["run"]["steps"]
        self.council = accompany(self.options, env, self.algo, 5, self.folder, made, self.make, stop)
        schedule = Schedule(total_steps=steps, eval_episodes=0, save_every=256)
        return Session(
            env,
            self.algo,
            schedule,
            folder=self.folder,
            seed=5,
            make_env=self.make,
            companion=self.council,
            resume=content,
            stop=stop,
            quiet=True,
        )

    def train(self, steps: int, *, resume: bool = False) -> dict[str, Any]:
        with self.session(steps, resume=resume) as one:
            one.advance(steps)
        return checkpoint.load_latest(self.folder / "checkpoints")[1]

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "peers.jsonl").read_text().splitlines()]


TAUGHT: dict[str, Any] = {"distill_every": 32, "window": 64}


@pytest.mark.parametrize("share", ["all", "none"])
def test_a_good_teacher_speeds_the_learner_up(share: str, tmp_path: Path) -> None:
    folder = knowing(tmp_path / "runs", Lock())
    found = {}
    for name, options in (("alone", {}), ("taught", {**TAUGHT, "teacher": (str(folder),)})):
        run = Short(tmp_path / name, options, toy=Lock, share=share, lr=4e-3)
        content = run.train(16 * 8 * 20)
        found[name] = float(content["episodes"]["window"][:, 0].mean())
    assert found["taught"] > max(0.7, found["alone"] + 0.2), found
    kinds = [line["kind"] for line in run.lines()]
    assert kinds[:2] == ["matched", "measured"]
    assert "teaches" in kinds


@pytest.mark.parametrize("share", ["all", "none"])
def test_a_taught_run_resumes_bit_for_bit_without_the_teachers_folder(share: str, tmp_path: Path) -> None:
    folder = knowing(tmp_path / "runs", Named())
    options = {**TAUGHT, "teacher": (str(folder),), "distill": share == "none"}
    whole, part = (Short(tmp_path / name, options, share=share) for name in ("whole", "part"))
    theirs = whole.train(1024)
    part.train(512)
    shutil.rmtree(folder)
    ours = part.train(1024, resume=True)
    for key, value in theirs["algo"]["policy"].items():
        assert torch.equal(ours["algo"]["policy"][key], value)
    assert part.lines() == whole.lines()
    assert sum(line["kind"] == "measured" for line in part.lines()) == 1
    school, again = theirs["companion"]["school"], ours["companion"]["school"]
    assert np.array_equal(school["known"][0], again["known"][0])
    assert (school["weights"] > 0).any()
    assert np.array_equal(school["weights"], again["weights"])


def test_a_run_that_is_stopped_does_not_wait_for_its_teachers_to_be_measured(tmp_path: Path) -> None:
    teacher = knowing(tmp_path, Lock())
    options = {**TAUGHT, "teacher": (str(teacher),)}
    whole = Short(tmp_path / "whole", options, toy=Lock)
    expected = whole.train(2048)
    cut, asked = Short(tmp_path / "cut", options, toy=Lock), []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 2  # the first is the session's, before its first step

    with cut.session(2048, stop=stop) as session:
        made = session.advance(2048)
    assert made == 16
    assert not (cut.folder / "peers.jsonl").exists()
    found = cut.train(2048, resume=True)
    known = found["companion"]["school"]["known"]  # the toy's worlds forget what they were, so that bits differ
    assert all(map(np.array_equal, known, expected["companion"]["school"]["known"]))
    assert [line["kind"] for line in cut.lines()[:2]] == ["matched", "measured"]


def test_a_teacher_that_is_not_ahead_changes_no_byte(tmp_path: Path) -> None:
    folder = knowing(tmp_path / "runs", Named(), right=False)
    found = []
    for name, options in (("alone", {}), ("taught", {**TAUGHT, "teacher": (str(folder),)})):
        run = Short(tmp_path / name, options)
        found.append(run.train(768)["algo"])
    for part in ("policy", "critic", "value_norm"):
        for key, value in found[0][part].items():
            assert torch.equal(found[1][part][key], value)
    assert not any(line["kind"] == "teaches" for line in run.lines())


def test_from_the_command_line_it_says_what_it_matched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--env", "spread", "--algo", "mappo", "--algo.rollout-steps", "8", "--algo.hidden", "8"]
    words += ["--algo.minibatches", "2", "--n-worlds", "4", "--eval-episodes", "0", "--no-videos"]
    words += ["--log-dir", str(tmp_path), "--total-steps", "400"]
    assert train.main([*words, "--quiet", "--run-name", "small"]) == 0
    taught = [*words, "--env.n-agents", "4", "--peers.teacher", str(tmp_path / "small"), "--run-name", "large"]
    capsys.readouterr()
    assert train.main([*taught, "--peers.distill-every", "4", "--peers.teacher-episodes", "4"]) == 0
    said = capsys.readouterr().err
    assert said.count("teacher small: 18 of 18 observation entries are shared by name; not used: landmark_3_x") == 1
    record = runfolder.read_config(tmp_path / "large")
    assert record.peers.options["teacher"] == (str(tmp_path / "small"),)
    assert len(record.obs_names) == record.spec.obs_dim == 24
    told = [json.loads(line) for line in (tmp_path / "large" / "peers.jsonl").read_text().splitlines()]
    assert told[0]["unused"][:2] == ["landmark_3_x", "landmark_3_y"]
    assert (told[1]["kind"], told[1]["episodes"]) == ("measured", 4)
    shutil.rmtree(tmp_path / "small")
    assert train.main(["--resume", str(tmp_path / "large"), "--total-steps", "600", "--quiet"]) == 0
    assert train.main([*taught[:-1], "other", "--algo.gru", "4"]) == 2
    assert "--peers.teacher is " in capsys.readouterr().err


def test_damaged_names_are_found_out(tmp_path: Path) -> None:
    folder = knowing(tmp_path, Named())
    for names in (["a", "b", "c"], ["a", "b", "c", "c"]):
        change(folder, "obs_names", value=names)
        with pytest.raises(
            ValueError, match=r"config.json is damaged: obs_names holds \d names, 3 different; 4 are needed"
        ):
            of(folder, Named())
