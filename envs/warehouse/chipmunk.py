"""A pymunk Space stepped many thousand times a second: what pymunk does around its C library, done once beforehand.

`Space.step` looks after callbacks and bodies added or removed, and `pymunk.batch` builds its arguments at every call;
for a few bodies that costs more than the physics. Here Chipmunk is called directly. A pymunk that looks different
inside is used through its front door instead, with the same results.
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
"""What is written and read of a body: x, y [m], angle [rad], velocity x, y [m/s], angular velocity [rad/s]."""


def stepper(space: pymunk.Space) -> Callable[[float], None]:
    """What makes one step of so many seconds."""
    try:
        from pymunk._chipmunk_cffi import lib

        return functools.partial(lib.cpSpaceStep, space._space)
    except (ImportError, AttributeError):
        return space.step


def writer(space: pymunk.Space, rows: NDArray[np.float64]) -> Callable[[], None]:
    """What sets all bodies of the Space, the static one last, to the present content of rows (bodies, 6)."""
    buffer = _buffer(rows)
    each_body = _each_body(space, buffer, "pmSpaceBodySetIteratorFuncBatched")
    if each_body is None:
        return functools.partial(pymunk.batch.set_space_bodies, space, FIELDS, buffer)

    def write() -> None:
        buffer._float_arr.num = 0  # where it begins to read; and the buffer keeps the rows alive
        each_body()

    return write


def reader(space: pymunk.Space, rows: NDArray[np.float64]) -> Callable[[], None]:
    """What writes all bodies of the Space into rows (bodies, 6), which has room for one body more than there are."""
    buffer = _buffer(rows)
    each_body = _each_body(space, buffer, "pmSpaceBodyGetIteratorFuncBatched")
    if each_body is None:
        each_body = functools.partial(pymunk.batch.get_space_bodies, space, FIELDS, buffer)

    def read() -> None:
        buffer.clear()
        each_body()

    return read


def _each_body(space: pymunk.Space, buffer: pymunk.batch.Buffer, function: str) -> Callable[[], None] | None:
    """What calls one of pymunk's C functions on every body; None where this pymunk has no such thing."""
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
