"""Names and options: what is found and what is refused; known environments compared with stepping them directly."""

from __future__ import annotations

import enum
from typing import Any

import foreign_toys
import gymnasium
import numpy as np
import pettingzoo
import pytest
from foreign_toys import Endless, Painted, Scripted, Single

from envs import adapters
from envs.foreign import find

SPREAD = "mpe2.simple_spread_v3"
ZOMBIES = "pettingzoo.butterfly.knights_archers_zombies_v11"


@pytest.fixture
def _registered() -> Any:
    """Toys in both registries, for one test."""
    pettingzoo.register("parallel", "toys/scripted_v0", entry_point="foreign_toys:parallel_env", kwargs={"n": 2})
    gymnasium.register("Single-v0", entry_point="foreign_toys:Single", max_episode_steps=4, kwargs={"most": 8})
    yield
    del pettingzoo.parallel_registry["toys/scripted-v0"]
    del gymnasium.registry["Single-v0"]


def test_only_names_of_others_have_dots_slashes_or_colons() -> None:
    assert all(map(adapters.is_foreign, (SPREAD, "sisl/pursuit_v5", "gymnasium:CartPole-v1", "a:b")))
    assert not any(map(adapters.is_foreign, ("warehouse", "spread", "wharehouse")))


@pytest.mark.usefixtures("_registered")
def test_every_form_of_a_name_is_found() -> None:
    found = {"foreign_toys": 3, "toys/scripted_v0": 2, "toys/scripted": 2, "foreign_toys:Scripted": 3}
    for name, agents in found.items():
        foreign = adapters.prepare(name, n_workers=0, limit=4)
        assert len(foreign.layout.keys) == agents, name
        assert foreign.layout.max_steps == 4
        assert foreign.name == name
        assert foreign.layout.notes == ()
    copies = adapters.prepare("foreign_toys:Single-v0", n_workers=0, n_copies=3)  # the module has no such attribute
    assert copies.layout.agents == ("learner_0", "learner_1", "learner_2")
    assert copies.layout.max_steps == 4
    assert adapters.prepare("foreign_toys:Single-v0", n_workers=0, max_episode_steps=7).layout.max_steps == 7
    assert adapters.keys("foreign_toys:Single-v0") == {
        "least": 2,
        "most": 8,
        "n_copies": 0,
        "render_mode": None,
        "max_episode_steps": 4,
    }
    assert adapters.keys("toys/scripted_v0")["n"] == 2  # pyright: ignore


TOY = "foreign_toys:Scripted"
MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    (
        "no_such_package.thing_v0",
        {},
        r"there is no module 'no_such_package', neither in the current folder \(.*install",
    ),
    ("pettingzoo.sisl.pursuit_v4", {}, r"unknown module of pettingzoo.sisl: 'pursuit_v4'; .*you mean 'pursuit_v5'"),
    ("pettingzoo.mpe.simple_spread_v3", {}, "cannot be imported: ImportError: MPE has been moved into its own package"),
    ("json.decoder", {}, "json.decoder offers none of parallel_env, env and raw_env; name .* as json.decoder:NAME"),
    ("toys/scriptd_v0", {}, "registry has no 'toys/scriptd_v0'; near: toys/scripted_v0"),
    ("coterie/warehouse_v1", {}, "Coterie's own; use its name 'warehouse'"),
    ("gymnasium:CartPol-v1", {}, "the module has no 'CartPol-v1'.*near: gymnasium:CartPole-v1"),
    (TOY, {"limt": 3}, "unknown option of foreign_toys:Scripted: 'limt'; .*did you mean 'limit'"),
    ("foreign_toys", {"limt": 3}, "unknown option of foreign_toys: 'limt'; .*did you mean 'limit'"),
    ("toys/scripted_v0", {"limt": 3}, "unknown option of toys/scripted_v0: 'limt'.*did you mean 'limit'"),
    ("gymnasium:CartPole-v1", {"suton": 1}, "option of gymnasium:CartPole-v1: 'suton'; allowed: sutton_barto_reward"),
    ("sisl/pursuit_v5", {"x_siz": 3}, "option of sisl/pursuit_v5: 'x_siz'; allowed: .*did you mean 'x_size'"),
    (SPREAD, {"N": "many"}, r"cannot be played with \{'N': 'many'\}: TypeError"),
    (SPREAD, {"n_copies": 0}, "n_copies is 0; it must be a whole number of at least 1"),
    (SPREAD, {"frame_stack": 0}, "frame_stack is 0"),
]


@pytest.mark.usefixtures("_registered")
@pytest.mark.parametrize(("name", "options", "message"), MISTAKES)
def test_mistakes_are_named_with_what_is_near(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        adapters.prepare(name, n_workers=0, **options)
    assert "\n" not in str(raised.value)


def test_a_package_that_a_gymnasium_environment_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(entry_point: str) -> Any:
        raise gymnasium.error.DependencyNotInstalled(f"{entry_point} needs Box3D,\nwhich is not installed")

    monkeypatch.setattr("envs.foreign.find.load_env_creator", load)
    with pytest.raises(ValueError, match=r"CartPole-v1 cannot be imported: .* needs Box3D, which is not"):
        adapters.texts("gymnasium:CartPole-v1")


def test_keys_that_cannot_be_checked_are_passed_on_and_the_run_says_so() -> None:
    foreign = adapters.prepare(foreign_toys.swallows, n_workers=0, count=2)
    assert len(foreign.layout.keys) == 2
    assert foreign.layout.notes == ("count: passed on unchecked, because the constructor does not name its keys",)
    texts, complete = adapters.texts("foreign_toys:swallows")
    assert not complete
    assert texts["limit"] == "8"  # a hint, from the environment that it built


def test_reserved_keys_are_the_adapters() -> None:
    foreign = adapters.prepare(Single, n_workers=0, n_copies=2)
    assert len(foreign.layout.keys) == 2
    assert "n_copies: the adapter's option; the constructor's of that name keeps its default" in foreign.layout.notes
    assert "n_copies" not in adapters.texts("foreign_toys:Single")[0]
    own = {"n_workers", "n_copies", "time_limit", "image_size", "frame_stack", "grayscale", "seeds"}
    assert set(adapters.RESERVED) == own


class Shape(enum.Enum):
    ROUND = 1
    SQUARE = 2


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("3", 5, 3),
        ("3", None, 3),
        ("0.5", 1, 0.5),
        ("-1e-3", 0.0, -0.001),
        ("true", False, True),
        ("False", True, False),
        ("none", 3, None),
        ("None", None, None),
        ("(3, 4)", (), (3, 4)),
        ("[3, 4]", (), (3, 4)),
        ("vector", None, "vector"),
        ("'7'", None, "7"),
        ("7", "vector", "7"),
        ("SQUARE", Shape.ROUND, Shape.SQUARE),
    ],
)
def test_values_are_read_as_written(text: str, default: Any, value: Any) -> None:
    read = find.parse(text, default)
    assert read == value
    assert type(read) is type(value)


def test_a_member_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown member of Shape: 'SQUAR'; .*did you mean 'SQUARE'"):
        find.parse("SQUAR", Shape.ROUND)
    assert adapters.parse("foreign_toys:Scripted", {"limit": "3", "names": "('a', 'b')", "n_workers": 2}) == {
        "limit": 3,
        "names": ("a", "b"),
        "n_workers": 2,
    }


def test_worlds_for_evaluation_are_made_once() -> None:
    make = adapters.prepare(Scripted, n_workers=0).maker()
    assert make(2) is make(2)
    assert make(2) is not make(3)
    assert make(2, stagger=True) is not make(2, stagger=True)
    assert make(4, stagger=True).stagger


def test_looking_at_an_environment_can_break_nothing() -> None:
    foreign = adapters.prepare("foreign_toys:Dies")
    assert foreign.layout.max_steps == 8
    with pytest.raises(ValueError, match=r"foreign_toys:Dies cannot be played with .*: its process died: .* code 9"):
        adapters.prepare("foreign_toys:Dies", dies=True)


def by_hand(env: Any, agents: tuple[str, ...], actions: np.ndarray, seed: int) -> list[tuple[Any, ...]]:
    """Returns the dictionaries of one episode with given actions, as rows of `possible_agents`."""
    assert tuple(env.possible_agents) == agents
    seen, _ = env.reset(seed=seed)
    made: list[tuple[Any, ...]] = [(seen,)]
    for action in actions:
        chosen = {agent: action[agents.index(agent)] for agent in env.agents}
        made.append((*env.step(chosen)[:4], list(env.agents)))
        if not env.agents:
            break
    return made


@pytest.mark.parametrize(
    ("name", "options", "obs_dim", "groups"),
    [
        ("mpe2.simple_spread_v3", {"N": 4, "max_cycles": 11}, 24, ((0, 1, 2, 3),)),
        ("mpe2.simple_adversary_v3", {}, 10, ((0,), (1, 2))),
        ("mpe2.simple_speaker_listener_v4", {}, 11, ((0,), (1,))),
        ("sisl/pursuit_v5", {"max_cycles": 9, "n_pursuers": 3}, 147, ((0, 1, 2),)),
        (ZOMBIES, {"spawn_delay": 1, "max_cycles": 500}, 135, ((0, 1), (2, 3))),
    ],
)
def test_known_environments_show_what_they_show_by_hand(
    name: str, options: dict[str, Any], obs_dim: int, groups: tuple[tuple[int, ...], ...]
) -> None:
    view = adapters.vector(name, 2, 0, **options)
    assert view.groups == groups
    assert view.observation_space.shape == (obs_dim,)
    step = view.reset(3)
    rng = np.random.default_rng(0)
    actions = rng.integers(0, view._layout.actions._counts, (500, len(view.agents)))
    env = find.find(name).make(**options)
    died = 0
    for world in range(2):
        step = view.reset(3)
        expected = by_hand(env, view.agents, actions, adapters.episode_seed(3, world, 0))
        for i, agent in enumerate(view.agents):
            flat = np.asarray(expected[0][0][agent], np.float32).ravel()
            assert np.array_equal(step.obs[world, i, : flat.size], flat)
            assert not step.obs[world, i, flat.size :].any()
        there, over = set(view.agents), False
        for action, (seen, paid, terminated, truncated, left) in zip(actions, expected[1:], strict=False):
            final, _ = view.step(np.stack([action, action]))
            for i, agent in enumerate(view.agents):
                assert final.reward[world, i] == np.float32(paid.get(agent, 0.0) if agent in there else 0.0)
                assert final.terminated[world, i] == (agent in there and terminated[agent])
                died += final.terminated[world, i]
                if final.alive[world, i]:
                    flat = np.asarray(seen[agent], np.float32).ravel()
                    assert np.array_equal(final.obs[world, i, : flat.size], flat)
            there = set(left)
            over = not left
            assert final.truncated[world] == (over and any(truncated.values()) and not all(terminated.values()))
        assert over
    assert bool(died) == ("knights" in name)  # zombies come in every step, so some agent dies


def test_multiwalker_reports_its_limit_as_death_and_is_set_right() -> None:
    pytest.importorskip("Box2D", reason="pip install box2d")
    view = adapters.vector("pettingzoo.sisl.multiwalker_v9", 2, 0, max_cycles=4, terminate_on_fall=False)
    view.reset(0)
    for _ in range(3):
        assert not view.step(np.zeros((2, 3, 4), np.float32))[0].truncated.any()
    final, _ = view.step(np.zeros((2, 3, 4), np.float32))
    assert final.truncated.all()
    assert not final.terminated.any()
    assert view.state_space.shape == (75,)


def test_rware_reports_its_limit_as_death_and_is_set_right() -> None:
    pytest.importorskip("rware")
    view = adapters.vector("rware:rware-tiny-2ag-v2", 2, 0, max_steps=4)
    assert view.agents == ("agent_0", "agent_1")
    assert view.observation_space.shape == (71,)
    view.reset(0)
    for _ in range(3):
        assert not view.step(np.ones((2, 2), np.int64))[0].truncated.any()
    final, following = view.step(np.ones((2, 2), np.int64))
    assert final.truncated.all()
    assert not final.terminated.any()
    assert following.alive.all()


def test_a_gymnasium_environment_is_truncated_by_its_own_limit() -> None:
    view = adapters.vector("gymnasium:CartPole-v1", 1, 0, n_copies=2, max_episode_steps=5)
    view.reset(0)
    finals = [view.step(np.array([[0, 1]]))[0] for _ in range(5)]
    assert finals[-1].truncated.all()
    assert not finals[-1].terminated.any()
    assert view.max_steps == 5
    assert view.step_seconds == 1 / 50


def test_pictures_of_known_environments_are_small_and_stacked() -> None:
    view = adapters.vector(ZOMBIES, 1, 1, obs_method="image", image_size=32, max_cycles=20)
    assert view.observation_space.shape == (4, 32, 32)
    assert view.state_space.shape == (0,)
    assert "state() is a picture" in view.notes[0]
    assert view.reset(0).obs.shape == (1, 4, 4 * 32 * 32)
    view.close()


def test_what_is_no_picture_stays_as_it_is() -> None:
    for env, shape, worlds in ((Endless, (1,), 32), (Painted, (4, 64, 64), 8)):
        foreign = adapters.prepare(env, n_workers=0)
        assert foreign.layout.observations.space.shape == shape
        assert foreign.n_worlds == worlds
    assert foreign_toys.raw_env is Scripted
