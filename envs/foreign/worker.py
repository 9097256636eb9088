"""What runs in a worker process: some worlds, stepped in turn, on command.

The process is started by `workers.Workers` as a plain Python interpreter that imports this module and nothing of
whoever trains: no torch, no main script. It ends when told to, and at once when the process that started it is gone.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import traceback
from collections.abc import Generator
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle

from .blame import told
from .board import board_in, mapped, size_of
from .output import forgive
from .world import World


def main() -> None:
    """Serves until told to end; the command line holds the descriptors of the connection and of the memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever trains, who then tells us
    forgive()
    faulthandler.enable(file=2)  # a crash in C leaves at least a Python traceback on stderr
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection, memory = Connection(int(sys.argv[1])), int(sys.argv[2])
    sys.argv = sys.argv[:1]
    try:
        if memory >= 0:
            serve(connection, memory)
        else:
            call(connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody is there any more


def call(connection: Connection) -> None:
    """Calls one function and answers (True, its result) or (False, (what it raised, whether that was a ValueError)).

    A generator answers with the first value that it yields. What it does after that, closing environments, may end the
    process: the answer is out.
    """
    try:
        function, arguments = cloudpickle.loads(connection.recv_bytes())
        result = function(*arguments)
        answer = True, next(result) if isinstance(result, Generator) else result
    except ValueError as error:
        answer, result = (False, (str(error), True)), None
    except BaseException as error:  # SystemExit too: what foreign code raises is told, whatever it is
        answer, result = (False, (told(error), False)), None
    connection.send_bytes(cloudpickle.dumps(answer))
    if isinstance(result, Generator):
        result.close()


def serve(connection: Connection, memory: int) -> None:
    """Builds the worlds and does what comes over the connection.

    Answers are (True, result), or (False, (place, reason, traceback)): then the worlds are no longer to be trusted, and
    the process ends. A picture that cannot be drawn is no such case: it is answered with its error in place of it.
    """
    worlds: list[World] = []
    place = "when it was built"
    try:
        build, layout, n_worlds, rows = cloudpickle.loads(connection.recv_bytes())
        board = board_in(mapped(memory, size_of(layout, n_worlds)), layout, n_worlds)
        worlds.extend(World(build(), layout, board, row) for row in rows)
        connection.send((True, None))
        while True:
            command, argument = connection.recv()
            answer: Any = None
            if command == "step":
                for world in worlds:
                    place = world
                    world.step()
            elif command == "reset":
                for world in worlds:
                    place = world
                    world.reset(argument)
            elif command == "render":
                answer = _picture(worlds[argument - rows[0]])
            else:
                assert command == "close", command
                for world in worlds:
                    world.close()
                return
            connection.send((True, answer))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        said = place.where() if isinstance(place, World) else place
        connection.send((False, (said, f"{type(error).__name__}: {error}", traceback.format_exc())))


def _picture(world: World) -> Any:
    """The frame, or the error as text."""
    try:
        return world.render()
    except Exception as error:  # foreign code may raise anything, and a picture is not worth a run
        return told(error)


def _end_with_parent() -> None:
    """Nothing is ever written to stdin: reading returns when the other end is closed, however that process ended."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
