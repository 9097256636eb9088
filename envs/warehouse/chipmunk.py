"""Direct calls of Chipmunk, the C library inside pymunk, for a Space that is stepped many thousand times a second.

`Space.step` handles callbacks and bodies that were added or removed, and `pymunk.batch` builds its arguments at every
call; for a few bodies that costs more than the physics. A pymunk without the private parts used here is called through
its public functions instead, with the same results.

With pymunk's public functions alone, training takes longer by 2.2 % (small-4, MAPPO) and 2.1 % (medium-8), with
counterfactuals by 11 % and 17 %: CPU time of one run in which the ways of stepping take turns call by call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pymunk
import pymunk.batch
from numpy.typing import NDArray

FIELDS = (
    pymunk.batch.BodyFields.POSITION
    | pymunk.batch.BodyFields.ANGLE
    | pymunk.batch.BodyFields.VELOCITY
    | pymunk.batch.BodyFields.ANGULAR_VELOCITY
)
"""Fields of a body that are written and read: x, y [m], angle [rad], velocity x, y [m/s], angular velocity [rad/s]."""


def stepper(space: pymunk.Space) -> Callable[[float], None]:
    """Returns a function that steps the Space by a number of seconds."""
    try:
        from pymunk._chipmunk_cffi import lib

        return functools.partial(lib.cpSpaceStep, space._space)
    except (ImportError, AttributeError):
        return space.step


def writer(space: pymunk.Space, rows: NDArray[np.float64]) -> Callable[[], None]:
    """Returns a function that sets all bodies of the Space, the static one last, to the content of rows (bodies, 6)."""
    buffer = _buffer(rows)
    each_body = _each_body(space, buffer, "pmSpaceBodySetIteratorFuncBatched")
    if each_body is None:
        return functools.partial(pymunk.batch.set_space_bodies, space, FIELDS, buffer)

    def write() -> None:
        buffer._float_arr.num = 0  # reads from the first row again; the buffer keeps the rows alive
        each_body()

    return write


def reader(space: pymunk.Space, rows: NDArray[np.float64]) -> Callable[[bool], None]:
    """Returns a function that writes all bodies of the Space into rows (n bodies + 1, 6), which has room for n times.

    Its argument: write into the first rows; else into those after the last call's.
    """
    buffer = _buffer(rows)
    each_body = _each_body(space, buffer, "pmSpaceBodyGetIteratorFuncBatched")
    if each_body is None:
        each_body = functools.partial(pymunk.batch.get_space_bodies, space, FIELDS, buffer)

    def read(first: bool) -> None:
        if first:
            buffer.clear()
        each_body()

    return read


def _each_body(space: pymunk.Space, buffer: pymunk.batch.Buffer, function: str) -> Callable[[], None] | None:
    """Returns a function that calls one of pymunk's C functions on every body, or None if it is missing."""
    try:
        from pymunk._chipmunk_cffi import ffi, lib

        data = ffi.new("pmBatchedData *")
        data.fields = FIELDS.value
        data.floatArray, data.intArray = buffer._float_arr, buffer._int_arr
        return functools.partial(lib.cpSpaceEachBody, space._space, ffi.addressof(lib, function), data)
    except (ImportError, AttributeError, TypeError):
        return None


def _buffer(rows: NDArray[np.float64]) -> pymunk.batch.Buffer:
    buffer = pymunk.batch.Buffer()
    buffer.set_float_buf(rows)
    buffer.set_int_buf(np.zeros(1, dtype=np.uintp))
    return buffer
