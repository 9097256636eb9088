"""The motion of robots as pymunk bodies: a pure function from poses and velocities to those one control step later.

Axes: B worlds, N robots.

A robot is a disc with a differential drive. Once per control step its wheels set speed and turn rate, within the limits
of motors and traction; pymunk then moves all robots through the substeps and resolves contacts with robots, racks and
walls. The body in pymunk is the robot's foam bumper, which may be dented for a moment; the chassis inside it must never
touch anything.

One `pymunk.Space` steps all worlds, replays and counterfactuals of its map, one after the other. A Space remembers
contacts and left-over corrections between steps. So before each world all bodies are parked far apart and the Space is
stepped once, which clears that memory: the result then depends on the given arrays alone. Threads never share a Space:
a caller takes an idle one or makes another, and has it alone until it gives it back.

A world in which no robot touches anything needs no Space: its robots move in straight lines, and `glide` computes the
same as pymunk, to the last bit on machines where C and numba both round every operation (x86-64).
"""

from __future__ import annotations

import functools
import math

import numpy as np
import pymunk
from numpy.typing import NDArray

from ..kit.kernels import kernel
from . import chipmunk
from . import layout as maps

RADIUS = 0.3
"""Radius of a robot with its bumper, which is the body that collides [m]."""
BUMPER = 0.07
"""Thickness of the foam ring around the chassis [m]."""
CHASSIS_RADIUS = RADIUS - BUMPER
"""Radius of a robot's rigid part [m]."""
MASS = 40.0
"""Mass of an empty robot [kg]."""
LOAD_MASS = 20.0
"""Mass of a load [kg]; it reduces acceleration, but does not take part in contacts."""
INERTIA = 0.5 * MASS * RADIUS**2
"""Moment of inertia of a robot, that of a homogeneous disc [kg m^2]."""
FRICTION = 0.3
"""Coulomb coefficient of bumpers against each other (pymunk multiplies both shapes' values)."""
TOP_SPEED = 1.0
"""Top speed of the wheels [m/s]; a robot that slips sideways as well may be faster for a moment."""
TOP_TURN_RATE = 2.0
"""Top turn rate [rad/s]."""
MOTOR_FORCE = 80.0
"""Force of both wheels together [N]: it accelerates an empty robot by 2 m/s^2, a loaded one by 1.33 m/s^2."""
TURN_ACCELERATION = 8.0
"""Largest angular acceleration [rad/s^2]."""
TRACTION = 0.6
"""Coulomb coefficient of tyres on the floor: it limits how fast sideways slip dies out."""
GRAVITY = 9.81
"""Gravitational acceleration [m/s^2]."""
CONTROL_STEP = 0.2
"""Duration of a control step [s]."""
SUBSTEPS = 4
"""Steps of pymunk in a control step."""

_SUBSTEP = CONTROL_STEP / SUBSTEPS
MARGIN = 0.001
"""A world in which a gap is at most this small is left to pymunk, which decides exactly what touches [m]."""
X, Y, ANGLE, VX, VY, TURN_RATE = range(6)
"""Columns of `body` arrays: position [m], heading [rad], velocity [m/s], turn rate [rad/s]."""


@kernel
def drive(body, target, loaded, body_out, drive_power):
    """Applies the forces of the wheels in one control step, before contacts.

    Speed along the heading moves towards its target within the motors' force, slip across it dies out within the
    tyres' traction. A robot driving along an arc is given the velocity of the arc's chord, so that without contacts
    it arrives exactly at the arc's end.

    Args:
        body: (B, N, 6).
        target: (B, N, 2) target speed [m/s] and turn rate [rad/s].
        loaded: (B, N) bool.
        body_out: (B, N, 6), written: the same poses, with the velocities to start the substeps with.
        drive_power: (B, N), written: mechanical power of the motors [W].
    """
    for b in range(body.shape[0]):
        for i in range(body.shape[1]):
            angle, vx, vy, turn = body[b, i, ANGLE], body[b, i, VX], body[b, i, VY], body[b, i, TURN_RATE]
            mass = MASS + (LOAD_MASS if loaded[b, i] else 0.0)
            c, s = math.cos(angle), math.sin(angle)
            along, across = c * vx + s * vy, -s * vx + c * vy
            gain = MOTOR_FORCE / mass * CONTROL_STEP
            new_along = along + min(max(target[b, i, 0] - along, -gain), gain)
            grip = TRACTION * GRAVITY * CONTROL_STEP
            across -= min(max(across, -grip), grip)
            gain = TURN_ACCELERATION * CONTROL_STEP
            new_turn = turn + min(max(target[b, i, 1] - turn, -gain), gain)
            half = 0.5 * new_turn * CONTROL_STEP
            chord = math.sin(half) / half if abs(half) > 1e-9 else 1.0
            c, s = math.cos(angle + half), math.sin(angle + half)
            body_out[b, i, X] = body[b, i, X]
            body_out[b, i, Y] = body[b, i, Y]
            body_out[b, i, ANGLE] = angle
            body_out[b, i, VX] = chord * c * new_along - s * across
            body_out[b, i, VY] = chord * s * new_along + c * across
            body_out[b, i, TURN_RATE] = new_turn
            drive_power[b, i] = max(0.0, 0.5 * mass * (new_along**2 - along**2) / CONTROL_STEP)


@kernel
def settle(before, after, impulse):
    """Reads the contacts off the velocities, and turns the chord's velocity back into the arc's.

    Nothing but contacts changes a velocity during the substeps, so the net contact impulse of a control step is
    mass times the change of velocity.

    Args:
        before: (B, N, 6) as `drive` wrote it.
        after: (B, N, 6) as pymunk left it; headings are wrapped to [-pi, pi) and velocities turned in place.
        impulse: (B, N), written: size of the net contact impulse [N s].
    """
    for b in range(before.shape[0]):
        for i in range(before.shape[1]):
            dx = after[b, i, VX] - before[b, i, VX]
            dy = after[b, i, VY] - before[b, i, VY]
            impulse[b, i] = MASS * math.sqrt(dx * dx + dy * dy)
            half = 0.5 * before[b, i, TURN_RATE] * CONTROL_STEP
            chord = math.sin(half) / half if abs(half) > 1e-9 else 1.0
            middle = before[b, i, ANGLE] + half
            c, s = math.cos(middle), math.sin(middle)
            along = (c * after[b, i, VX] + s * after[b, i, VY]) / chord
            across = -s * after[b, i, VX] + c * after[b, i, VY]
            c, s = math.cos(middle + half), math.sin(middle + half)
            after[b, i, VX] = c * along - s * across
            after[b, i, VY] = s * along + c * across
            angle = after[b, i, ANGLE] + math.pi
            after[b, i, ANGLE] = angle - 2.0 * math.pi * math.floor(angle / (2.0 * math.pi)) - math.pi


@kernel
def glide(blocked, before, after, touched):
    """Moves robots through the substeps as if nothing were in their way, and finds the worlds where something is.

    Without this short cut, training takes longer by 3.6 % (small-4, MAPPO) and 3.0 % (medium-8), with counterfactuals
    by 11 % and 6 %: CPU time of one run of 100,000 and 50,000 steps in which both ways take turns, call by call. The
    gain grows as robots learn to avoid contacts.

    Args:
        blocked: (height, width), 1 where a wall or rack stands.
        before: (B, N, 6) as `drive` wrote it.
        after: (B, N, 6), written; valid only in worlds where nothing touches.
        touched: (B,) bool, written: after a substep some robot is in contact, or within the margin of it.
    """
    for b in range(before.shape[0]):
        body = after[b]
        body[:] = before[b] + 0.0  # pymunk adds forces of zero as well, which turns -0.0 into 0.0
        touched[b] = False
        for _ in range(SUBSTEPS):
            for i in range(len(body)):
                body[i, X] += body[i, VX] * _SUBSTEP
                body[i, Y] += body[i, VY] * _SUBSTEP
                body[i, ANGLE] += body[i, TURN_RATE] * _SUBSTEP
                if touches_wall(blocked, body[i, X], body[i, Y]) or _touches_robot(body, i):
                    touched[b] = True
            if touched[b]:
                break


@kernel
def _touches_robot(body, i):
    """Returns whether robot i is in contact with a robot of lower index, or within the margin of it."""
    apart = 2.0 * RADIUS + MARGIN
    touches = False
    for j in range(i):
        dx, dy = body[i, X] - body[j, X], body[i, Y] - body[j, Y]
        touches |= not dx * dx + dy * dy > apart * apart  # True for NaN as well
    return touches


@kernel
def touches_wall(blocked, x, y):
    """Returns whether a robot at x, y is in contact with a wall or a rack, or within the margin of it."""
    height, width = blocked.shape
    if x < -1.0 or x > width + 1.0 or y < -1.0 or y > height + 1.0:
        return False  # not in this world at all: the absent robot of a counterfactual
    if not (0.0 < x < width and 0.0 < y < height):
        return True
    column, row = int(x), int(y)
    if blocked[row, column]:
        return True
    # The border of a map is wall, so a free cell has eight neighbours. At most one column and one row are in reach.
    reach = RADIUS + MARGIN
    beside, above = 0, 0
    dx, dy = x - column, y - row
    if dx < reach:
        beside = -1
    elif 1.0 - dx < reach:
        beside, dx = 1, 1.0 - dx
    if dy < reach:
        above = -1
    elif 1.0 - dy < reach:
        above, dy = 1, 1.0 - dy
    if beside and blocked[row, column + beside]:
        return True
    if above and blocked[row + above, column]:
        return True
    return beside and above and blocked[row + above, column + beside] and dx * dx + dy * dy < reach * reach


@kernel
def glide_along(before, path):
    """Writes where robots are after each substep if nothing is in their way, into path (B, N, SUBSTEPS, 2)."""
    for b in range(before.shape[0]):
        for i in range(before.shape[1]):
            x, y = before[b, i, X] + 0.0, before[b, i, Y] + 0.0
            vx, vy = before[b, i, VX] + 0.0, before[b, i, VY] + 0.0
            for s in range(SUBSTEPS):
                x += vx * _SUBSTEP
                y += vy * _SUBSTEP
                path[b, i, s, 0], path[b, i, s, 1] = x, y


class Physics:
    """The physics of one layout with n robots; any number of threads may use it at once."""

    def __init__(self, layout: maps.Layout, n_robots: int, *, group: int = 0) -> None:
        """Makes no Space yet; the first contact makes one. `group` is that of `Simulator`."""
        self._layout, self._n_robots, self._group = layout, n_robots, group
        self._idle: list[Simulator] = []  # `pop` and `append` are atomic, so threads need no lock

    def advance(self, body: NDArray[np.float64], path: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Runs every world through the substeps.

        Args:
            body: (B, N, 6) as `drive` wrote it.
            path: (B, N, SUBSTEPS, 2), written if given: x, y of every robot after each substep [m].

        Returns:
            (B, N, 6), a new array.
        """
        out, touched = np.empty_like(body), np.empty(len(body), dtype=bool)
        glide(self._layout.blocked, body, out, touched)
        if path is not None:
            glide_along(body, path)
        rows = np.flatnonzero(touched)
        if len(rows):
            simulator = self.take()
            for b in rows:
                simulator.advance(body[b], out[b], None if path is None else path[b])
            self.give_back(simulator)  # not after an exception: it may have stopped anywhere
        return out

    def take(self) -> Simulator:
        """Returns a simulator that no other thread has until it is given back."""
        try:
            return self._idle.pop()
        except IndexError:
            return Simulator(self._layout, self._n_robots, group=self._group)

    def give_back(self, simulator: Simulator) -> None:
        """Makes a simulator available to other callers."""
        self._idle.append(simulator)


class Simulator:
    """A pymunk Space with walls, racks and robots, and the arrays that worlds are copied through; for one thread."""

    def __init__(self, layout: maps.Layout, n_robots: int, *, group: int = 0) -> None:
        """Builds the Space. With a `group` of g, each g robots drive through all others; at most 32 groups."""
        space = pymunk.Space()
        space.collision_persistence = 1  # 0 would switch collisions off
        space.collision_slop = 0.001
        for x0, y0, x1, y1 in layout.rectangles:
            shape = pymunk.Poly(space.static_body, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
            shape.friction = math.sqrt(FRICTION)
            space.add(shape)
        for i in range(n_robots):
            body = pymunk.Body(MASS, INERTIA)
            shape = pymunk.Circle(body, RADIUS)
            shape.friction = math.sqrt(FRICTION)
            if group:
                own = 1 << i // group
                shape.filter = pymunk.ShapeFilter(categories=own, mask=own)  # walls are in all categories
            space.add(body, shape)
        self.space, self._n_robots = space, n_robots
        # The bodies come in the order in which they were added, then the static one. Its row stays zero, or the walls
        # would move. The arrays and their readers and writers are made once, for every new buffer of pymunk leaks.
        self._row = np.zeros((n_robots + 1, 6))
        parked = np.zeros((n_robots + 1, 6))
        parked[:n_robots, X] = -1000.0 - 10.0 * np.arange(n_robots)
        result = np.zeros((SUBSTEPS * (n_robots + 1) + 1, 6))
        self._results = result[:-1].reshape(SUBSTEPS, n_robots + 1, 6)[:, :n_robots]  # views
        self._path = self._results[:, :, X : Y + 1].transpose(1, 0, 2)  # (N, SUBSTEPS, 2)
        self.step = chipmunk.stepper(space)
        self._park, self._put = chipmunk.writer(space, parked), chipmunk.writer(space, self._row)
        self._get = chipmunk.reader(space, result)

    def advance(
        self, body: NDArray[np.float64], out: NDArray[np.float64], path: NDArray[np.float64] | None = None
    ) -> None:
        """Runs one world through the substeps, from body (N, 6) into out (N, 6) and path (N, SUBSTEPS, 2)."""
        step = self.step
        self._park()
        step(_SUBSTEP)
        self._row[: self._n_robots] = body
        self._put()
        if path is None:
            for _ in range(SUBSTEPS):
                step(_SUBSTEP)
            self._get(True)
            out[:] = self._results[0]
            return
        for s in range(SUBSTEPS):
            step(_SUBSTEP)
            self._get(s == 0)
        out[:], path[:] = self._results[-1], self._path


def physics_of(layout: str, n_robots: int) -> Physics:
    """Returns the process's one `Physics` for a map and a number of robots; `layout` as for `layout.load`."""
    return _physics_of(maps.read(layout), n_robots)


@functools.lru_cache(maxsize=16)
def _physics_of(text: str, n_robots: int) -> Physics:
    return Physics(maps.load(text), n_robots)
