"""Maps: what is refused, and that routes are shortest and drivable, against a slow computation from the geometry."""

from __future__ import annotations

import numpy as np
import pytest
from warehouse_scenes import YARD, follow, gap_to_walls, yard

from envs.warehouse import TASKS, Config, Warehouse
from envs.warehouse import layout as maps
from envs.warehouse.layout import CLEARANCE, NODE_SPACING
from envs.warehouse.physics import RADIUS

GOOD = YARD.strip("\n")
ROUTE_GAP = 0.45
"""Routes run half a cell from walls and racks and cut no corner [m]; the corner cut would be at 0.35 m."""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("#S", "#SS", 1), "rectangle"),
        (GOOD.replace("\n#", "\n\n#", 1), "rectangle"),
        (GOOD.replace("S", "X", 1), r"symbols # \. R S C.*'X'"),
        (GOOD.replace("#S", ".S", 1), "closed all round"),
        (GOOD.replace("#", ".", 1), "closed all round"),
        ("#######\n#.#.S.#\n#R#.R.#\n#######", "reachable"),
        ("#####\n#.RS#\n#R..#\n#####", "reachable"),  # two floor cells that touch at a corner only
        (GOOD.replace("R", "."), "rack"),
        (GOOD.replace("S", "."), "station"),
        ("######\n#SRCS#\n#SSSS#\n######", "floor beside it"),
        ("\n", "rectangle"),
        ("no-such-map", "'no-such-map' is not known: give one of .*small.*procedural"),
        ("", "is not known"),
        ("procedural:5x5:1", "cannot be made.*too small.*at least 9x8"),
        ("procedural:16x12", "cannot be made"),
        ("procedural:axb:1", "cannot be made"),
        ("procedural:16x12:-1", "cannot be made.*seed >= 0"),
    ],
)
def test_bad_map_is_refused_with_its_mend(text, says):
    with pytest.raises(ValueError, match=r"(?s)" + says):
        maps.load(text)


def test_map_is_read_from_a_file(tmp_path):
    path = tmp_path / "yard.txt"
    path.write_text(YARD)
    assert maps.load(str(path)) is maps.load(YARD)


@pytest.mark.parametrize("name", maps.builtin())
def test_builtin_map_has_its_targets_in_order(name):
    rows = maps.read(name).split("\n")[::-1]
    layout = maps.load(name)
    symbols = [rows[int(y)][int(x)] for x, y in layout.targets]
    around = [
        {rows[int(y) + dy][int(x) + dx] for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))} for x, y in layout.targets
    ]
    assert symbols == ["."] * layout.n_faces + ["S"] * layout.n_stations + ["C"] * layout.n_chargers
    assert all("R" in cells for cells in around[: layout.n_faces])
    beside = sum(
        cell == "." and "R" in (rows[y - 1][x], rows[y + 1][x], rows[y][x - 1], rows[y][x + 1])
        for y, row in enumerate(rows)
        for x, cell in enumerate(row)
    )
    assert beside == layout.n_faces
    assert len(layout.floor) == sum(row.count(".") for row in rows)


def test_every_map_has_a_task():
    assert {config.layout for config in TASKS.values()} == set(maps.builtin())


def test_first_row_is_the_lowest():
    layout = maps.load(YARD)
    assert (layout.width, layout.height) == (12, 8)
    assert layout.racks[5, 2:8].all()
    assert layout.racks.sum() == 9
    np.testing.assert_array_equal(layout.targets[layout.n_faces :], [[1.5, 1.5], [4.5, 1.5], [8.5, 1.5]])


@pytest.mark.parametrize("name", [*maps.builtin(), YARD, "procedural:20x14:3"])
def test_rectangles_cover_the_blocked_cells_once(name):
    layout = maps.load(name)
    painted = np.zeros((layout.height, layout.width))
    for x0, y0, x1, y1 in layout.rectangles.astype(int):
        painted[y0:y1, x0:x1] += 1
    np.testing.assert_array_equal(painted, layout.blocked)
    assert len(layout.rectangles) < layout.blocked.sum()


def _edges(env: Warehouse) -> list[tuple[int, int, float]]:
    """Straight moves to the eight lattice neighbours that keep ROUTE_GAP off every blocked cell."""
    columns, rows = int(env.layout.width / NODE_SPACING) + 1, int(env.layout.height / NODE_SPACING) + 1
    edges = []
    for node in range(columns * rows):
        for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1), (-1, 0), (0, -1), (-1, -1), (-1, 1)):
            x, y = node % columns, node // columns
            if 0 <= x + dx < columns and 0 <= y + dy < rows:
                share = np.linspace(0.0, 1.0, 51)[:, None]
                points = NODE_SPACING * (np.array([x, y]) + share * np.array([dx, dy]))
                if gap_to_walls(env, points).min() >= ROUTE_GAP:
                    edges.append((node, node + dy * columns + dx, NODE_SPACING * float(np.hypot(dx, dy))))
    return edges


def test_routes_leave_room_for_a_robot():
    assert ROUTE_GAP > CLEARANCE >= RADIUS


def test_distances_are_those_of_the_shortest_clear_route():
    env = yard(1)
    tail, head, length = (np.array(column) for column in zip(*_edges(env), strict=True))
    tail, head = tail.astype(int), head.astype(int)
    columns = int(env.layout.width / NODE_SPACING) + 1
    for target, (x, y) in enumerate(env.layout.targets):
        brute = np.full(env.layout.distance.shape[1], np.inf)
        brute[int(y / NODE_SPACING) * columns + int(x / NODE_SPACING)] = 0.0
        while True:  # Bellman-Ford
            shorter = brute.copy()
            np.minimum.at(shorter, head, brute[tail] + length)
            if (shorter == brute).all():
                break
            brute = shorter
        np.testing.assert_allclose(env.layout.distance[target], brute, rtol=1e-6)


@pytest.mark.parametrize("name", ["small", "corridor", "large", "procedural:20x14:3"])
def test_next_node_comes_nearer_by_its_own_length_until_the_target(name):
    layout = maps.load(name)
    columns = int(layout.width / NODE_SPACING) + 1
    nodes = np.arange(layout.distance.shape[1])
    place = np.stack([nodes % columns, nodes // columns], axis=1) * NODE_SPACING
    for target, spot in enumerate(layout.targets):
        distance, following = layout.distance[target].astype(float), layout.next_node[target]
        ends = following == nodes
        np.testing.assert_array_equal(ends, (distance == 0.0) | np.isinf(distance))
        np.testing.assert_array_equal(place[distance == 0.0], [spot])
        step = np.linalg.norm(place[following] - place, axis=1)[~ends]
        np.testing.assert_allclose(distance[~ends] - distance[following[~ends]], step, atol=1e-4)


def test_mean_route_is_the_mean_over_faces_and_stations():
    layout = maps.load(YARD)
    columns = int(layout.width / NODE_SPACING) + 1
    stations = range(layout.n_faces, layout.n_faces + layout.n_stations)
    lengths = [
        layout.distance[station, int(y / NODE_SPACING) * columns + int(x / NODE_SPACING)]
        for x, y in layout.targets[: layout.n_faces]
        for station in stations
    ]
    assert layout.mean_route == pytest.approx(np.mean(lengths), rel=1e-5)


@pytest.mark.parametrize("size", ["9x8", "16x12", "30x20"])
def test_every_seed_draws_a_valid_map(size):
    width, height = (int(side) for side in size.split("x"))
    drawn = [f"procedural:{size}:{seed}" for seed in range(50)]
    texts = [maps.read(recipe) for recipe in drawn]
    assert [maps.read(recipe) for recipe in drawn] == texts
    assert len(set(texts)) > 10
    for recipe in drawn:
        layout = maps.load(recipe)
        assert (layout.width, layout.height) == (width, height)
        assert layout.n_stations >= 2
        assert layout.n_chargers >= 1
        assert np.isfinite(layout.mean_route)


@pytest.mark.parametrize("name", ["small", "medium", "corridor", "procedural:16x12:7"])
def test_a_robot_alone_that_heads_for_its_waypoints_delivers(name):
    env = Warehouse(Config(layout=name, n_robots=1, orders_per_hour=900, backlog=4, continuous=True, max_steps=1000))
    state, _ = env.reset(range(4))
    for _ in range(500):
        state, _ = env.step(state, follow(env, state))
    assert (state.delivered >= 3).all()
