"""Warehouse maps: from ASCII to geometry and shortest routes.

A map is a rectangle of characters, one square metre each, closed all round by walls:

    #  wall        .  floor       R  rack
    S  station     C  charger     (stations and chargers are floor that robots drive onto)

x grows to the right and y upwards, both in metres from the lower left corner: the cell in column i of the lowest row
is the square [i, i + 1] x [0, 1]. A *face* is a floor cell beside a rack: where a robot stands to load from it.
"""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, dijkstra

NODE_SPACING = 0.5
"""Distance between neighbouring nodes of the route graph [m]. Cell centres are nodes."""
CLEARANCE = 0.3
"""Routes keep at least this far from walls and racks [m]: the radius of a robot with its bumper."""
PROCEDURAL = "procedural:"
MOST_CELLS = 4096
"""Most cells of a map: its routes, from everywhere to every target, grow with their square, here to some 100 MB."""

_SYMBOLS = "#.RSC"


class Layout(NamedTuple):
    """A map in the form that kernels need. Robots go to targets: faces first, then stations, then chargers."""

    blocked: NDArray[np.uint8]  # (height, width), 1 where a wall or rack stands; row 0 is the lowest
    racks: NDArray[np.uint8]  # (height, width), 1 where a rack stands
    rectangles: NDArray[np.float64]  # (R, 4) x0, y0, x1, y1 [m]: all walls and racks, merged
    targets: NDArray[np.float64]  # (T, 2) centres [m]
    n_faces: int
    n_stations: int
    n_chargers: int
    distance: NDArray[np.float32]  # (T, nodes) length of the shortest route from each node to each target [m]
    next_node: NDArray[np.int32]  # (T, nodes) the node that follows on that route; the node itself at its end
    floor: NDArray[np.float64]  # (F, 2) centres of plain floor cells [m]: where robots may start
    mean_route: float  # mean length of the routes between faces and stations [m]

    @property
    def width(self) -> int:
        """Width of the map [m]."""
        return self.blocked.shape[1]

    @property
    def height(self) -> int:
        """Height of the map [m]."""
        return self.blocked.shape[0]


def load(layout: str) -> Layout:
    """Makes a layout from a name, a file, a recipe or the map itself.

    Args:
        layout: The name of a built-in map, the path of a text file, `procedural:WIDTHxHEIGHT:SEED`, or a map (any
            string with a line break in it).

    Raises:
        ValueError: There is no such map, or it is not a closed, connected map with a rack and a station.
    """
    return _build(read(layout))


def read(layout: str) -> str:
    """Returns the ASCII map that `load` would build; same arguments and errors."""
    if "\n" in layout:
        return _normal(layout)
    if layout.startswith(PROCEDURAL):
        return _procedural_from(layout)
    if layout in _packaged():
        return _packaged()[layout]
    return _from_file(layout)


def settled(layout: str) -> str:
    """Returns the same layout in a form that does not depend on files.

    Names and recipes stay as they are. A path becomes the map that the file holds now, so the result builds the same
    world even after the file has changed or is gone.

    Raises:
        ValueError: There is no such map or, where it is a path, the file holds no map.
    """
    if "\n" in layout:
        return _normal(layout)
    if layout.startswith(PROCEDURAL) or layout in _packaged():
        return layout
    text = _from_file(layout)
    try:
        _build(text)
    except ValueError as error:
        raise ValueError(f"layout {layout!r} is a file without a map in it: {error}") from None
    return text


def named(layout: str) -> str:
    """Returns what a message calls a layout: its name or, for a map itself, its size."""
    rows = _normal(layout).split("\n")
    return repr(layout) if len(rows) == 1 else f"a map of {max(map(len, rows))}x{len(rows)} cells"


def builtin() -> list[str]:
    """Returns the names of the maps that come with the package."""
    return sorted(_packaged())


@functools.cache
def _packaged() -> dict[str, str]:
    """Returns the maps that come with the package, by name."""
    folder = resources.files(__name__.rpartition(".")[0]) / "layouts"
    entries = [entry for entry in folder.iterdir() if entry.name.endswith(".txt")]
    return {entry.name[: -len(".txt")]: _normal(entry.read_text(encoding="utf-8")) for entry in entries}


def _normal(text: str) -> str:
    """Returns a map without what editors add: other line ends, a byte order mark, empty lines around it."""
    return "\n".join(text.removeprefix("\ufeff").splitlines()).strip("\n")


def _from_file(path: str) -> str:
    try:
        return _normal(Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ValueError(f"layout {path!r} is a file, but not of text: give a map of {' '.join(_SYMBOLS)}") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        known = f"give one of {', '.join(builtin())}, the path of a map file, or {PROCEDURAL}WIDTHxHEIGHT:SEED"
        missing = isinstance(error, (FileNotFoundError, ValueError))
        why = "" if missing else f" ({getattr(error, 'strerror', None) or error})"
        raise ValueError(f"layout {path!r} is not known{why}: {known}") from None


def _procedural_from(recipe: str) -> str:
    try:
        size, seed = recipe[len(PROCEDURAL) :].split(":")
        width, height = (int(side) for side in size.split("x"))
        return procedural(width, height, int(seed))
    except ValueError as error:
        raise ValueError(
            f"layout {recipe!r} cannot be made ({error}); write it as {PROCEDURAL}16x12:7, at least 9x8, seed >= 0"
        ) from None


def procedural(width: int, height: int, seed: int) -> str:
    """Draws a map: rack blocks of random size between aisles one to two cells wide, stations and chargers below.

    Args:
        width: Cells from wall to wall, walls included; at least 9.
        height: Cells from wall to wall, walls included; at least 8.
        seed: Same seed, same map.
    """
    if width < 9 or height < 8:
        raise ValueError(f"{width}x{height} is too small")
    if width * height > MOST_CELLS:
        raise ValueError(f"{width}x{height} is too large: at most {MOST_CELLS} cells in all")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    rows = [["#" if x in (0, width - 1) or y in (0, height - 1) else "." for x in range(width)] for y in range(height)]
    y = 2
    while y <= height - 5:
        block_height = int(min(rng.integers(1, 4), height - 4 - y))
        x = int(rng.integers(2, 4))
        while x <= width - 4:
            block_width = int(min(rng.integers(1, 4), width - 2 - x))
            for row in rows[y : y + block_height]:
                row[x : x + block_width] = "R" * block_width
            x += block_width + int(rng.integers(1, 3))
        y += block_height + int(rng.integers(1, 3))
    spots = rng.permutation(np.arange(1, width - 1))
    n_stations = max(2, width // 5)
    for i, x in enumerate(spots[: n_stations + max(1, width // 10)]):
        rows[height - 2][x] = "S" if i < n_stations else "C"
    return "\n".join("".join(row) for row in rows)


@functools.lru_cache(maxsize=32)
def _build(text: str) -> Layout:
    cells = _parse(text)
    blocked = np.isin(cells, ["#", "R"])
    racks = cells == "R"
    beside_rack = np.zeros_like(racks)
    beside_rack[1:] |= racks[:-1]
    beside_rack[:-1] |= racks[1:]
    beside_rack[:, 1:] |= racks[:, :-1]
    beside_rack[:, :-1] |= racks[:, 1:]
    faces = _centres(beside_rack & (cells == "."))
    stations, chargers = _centres(cells == "S"), _centres(cells == "C")
    if not len(faces) or not len(stations):
        missing = "station" if len(faces) else "such rack"
        raise ValueError(f"a map needs a rack R with floor beside it and a station S; this one has no {missing}")
    targets = np.concatenate([faces, stations, chargers])
    distance, next_node = _routes(blocked, targets)
    face_nodes = _node_index(faces, blocked.shape[1])
    to_stations = distance[len(faces) : len(faces) + len(stations), face_nodes]  # (stations, faces)
    layout = Layout(
        blocked=blocked.astype(np.uint8),
        racks=racks.astype(np.uint8),
        rectangles=_merge(blocked),
        targets=targets,
        n_faces=len(faces),
        n_stations=len(stations),
        n_chargers=len(chargers),
        distance=distance,
        next_node=next_node,
        floor=_centres(cells == "."),
        mean_route=float(to_stations.mean()),
    )
    for part in layout:  # all environments with this map share it, in all threads
        if isinstance(part, np.ndarray):
            part.setflags(write=False)
    return layout


def _parse(text: str) -> NDArray[np.str_]:
    """Returns the characters of a map, (height, width), lowest row first."""
    rows = text.split("\n")
    if not rows[0] or len({len(row) for row in rows}) != 1:
        raise ValueError(f"a map must be a rectangle; its rows have lengths {sorted({len(row) for row in rows})}")
    if len(rows) * len(rows[0]) > MOST_CELLS:
        raise ValueError(f"a map of {len(rows[0])} x {len(rows)} cells is too large: give at most {MOST_CELLS} in all")
    cells = np.array([list(row) for row in reversed(rows)])
    strange = sorted(set(cells.ravel()) - set(_SYMBOLS))
    if strange:
        raise ValueError(f"a map has only the symbols {' '.join(_SYMBOLS)}; this one has {strange}")
    inner = np.zeros(cells.shape, dtype=bool)
    inner[1:-1, 1:-1] = True
    gaps = np.argwhere(~inner[::-1] & (cells[::-1] != "#")).tolist()  # as they stand in the file
    if gaps:
        row, column = gaps[0]
        raise ValueError(
            f"a map must be closed all round by walls '#'; line {row + 1} has {str(cells[::-1][row, column])!r} at its "
            f"place {column + 1}"
        )
    return cells


def _centres(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Returns the centres of the marked cells, (n, 2) [m]."""
    y, x = np.nonzero(mask)
    return np.stack([x, y], axis=1).astype(np.float64) + 0.5


def _node_index(points: NDArray[np.float64], width: int) -> NDArray[np.int64]:
    """Returns the index of the route graph's node at each point; (n, 2) -> (n,)."""
    columns = int(width / NODE_SPACING) + 1
    x, y = np.rint(points / NODE_SPACING).astype(np.int64).T
    return y * columns + x


def _routes(blocked: NDArray[np.bool_], targets: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Finds the shortest routes from every node to every target over an eight-connected grid, by Dijkstra."""
    height, width = blocked.shape
    columns, rows = int(width / NODE_SPACING) + 1, int(height / NODE_SPACING) + 1
    y, x = np.divmod(np.arange(rows * columns), columns)
    # A node is free when no blocked cell lies within CLEARANCE: with nodes on centres, edges and corners of cells,
    # that is when every cell it touches is free.
    free = np.ones(rows * columns, dtype=bool)
    for dx in (-0.5, 0.5):
        for dy in (-0.5, 0.5):
            column = np.clip(((x + dx) * NODE_SPACING).astype(int), 0, width - 1)
            row = np.clip(((y + dy) * NODE_SPACING).astype(int), 0, height - 1)
            free &= ~blocked[row, column]
    tails, heads, lengths = [], [], []
    for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
        inside = (x + dx < columns) & (y + dy >= 0) & (y + dy < rows)
        tail = np.nonzero(inside)[0]
        head = tail + dy * columns + dx
        both = free[tail] & free[head]
        if dx and dy:  # no cutting of corners
            both &= free[tail + dx] & free[tail + dy * columns]
        tails.append(tail[both])
        heads.append(head[both])
        lengths.append(np.full(both.sum(), NODE_SPACING * np.hypot(dx, dy)))
    graph = coo_array(
        (np.concatenate(lengths), (np.concatenate(tails), np.concatenate(heads))), shape=(len(free), len(free))
    ).tocsr()
    sources = _node_index(targets, width)
    _, component = connected_components(graph, directed=False)
    centres = _node_index(_centres(~blocked), width)
    if len(set(component[centres])) != 1:
        raise ValueError("every floor cell of a map must be reachable from every other; this one is cut in parts")
    distance, previous = dijkstra(graph, directed=False, indices=sources, return_predecessors=True)
    previous = np.where(previous < 0, np.arange(len(free)), previous)
    return distance.astype(np.float32), previous.astype(np.int32)


def _merge(blocked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Covers the blocked cells with few rectangles: widest first, then as tall as it goes."""
    left = blocked.copy()
    rectangles = []
    for y, x in np.argwhere(blocked):
        if not left[y, x]:
            continue
        x1 = x
        while x1 < left.shape[1] and left[y, x1]:
            x1 += 1
        y1 = y
        while y1 < left.shape[0] and left[y1, x:x1].all():
            y1 += 1
        left[y:y1, x:x1] = False
        rectangles.append((x, y, x1, y1))
    return np.array(rectangles, dtype=np.float64)
