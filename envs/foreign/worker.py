"""The program of a worker process: some worlds, stepped in turn, on command.

The process is started by `workers.Workers` as a plain Python interpreter that imports this module and nothing of
whoever trains: no torch, no main script. It ends when told to, and when the process that started it is gone; before
that it closes its worlds (`orphans`).
"""

from __future__ import annotations

import faulthandler
import signal
import sys
from collections.abc import Generator
from multiprocessing.connection import Connection

import cloudpickle

from .blame import told
from .block import Block
from .board import board_in, mapped, size_of
from .orphans import Told, end_as, end_with, stay_until_closed
from .output import forgive
from .protocol import GoneError, answer, ordered, receive, send, told_of


def main() -> None:
    """Serves until told to end; the command line holds the descriptors of the connection and of the memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever trains, who then tells us
    forgive()
    faulthandler.enable(file=2)  # a crash in C leaves at least a Python traceback on stderr
    connection, memory, parent = Connection(int(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
    sys.argv = sys.argv[:1]
    end_with(parent)
    orphan, number = False, None
    try:
        if memory >= 0:
            serve(connection, memory)
        else:
            call(connection)
    except GoneError:
        orphan = True
    except Told:
        number = signal.SIGTERM
    end_as(orphan, number)


def call(connection: Connection) -> None:
    """Calls one function and answers (True, its result) or (False, (what it raised, whether that was a ValueError)).

    A generator answers with the first value that it yields. What it does after that, closing environments, may end the
    process: the answer is out.
    """
    task = receive(connection)
    try:
        function, arguments = cloudpickle.loads(task)
        result = function(*arguments)
        answered = True, next(result) if isinstance(result, Generator) else result
    except (KeyboardInterrupt, Told):
        raise
    except ValueError as error:
        answered, result = (False, (str(error), True)), None
    except BaseException as error:  # SystemExit too: what foreign code raises is told, whatever it is
        answered, result = (False, (told(error), False)), None
    send(connection, cloudpickle.dumps(answered))
    if isinstance(result, Generator):
        result.close()


def serve(connection: Connection, memory: int) -> None:
    """Builds the worlds and does what comes over the connection; see `protocol`.

    After an exception the worlds are no longer to be trusted, and the process ends. A picture that cannot be drawn is
    no such case: it is answered with its error in place of it.
    """
    block: Block | None = None
    try:
        task = receive(connection)
        try:
            build, layout, n_worlds, rows = cloudpickle.loads(task)
            block = Block(build, layout, board_in(mapped(memory, size_of(layout, n_worlds)), layout, n_worlds), rows)
            send(connection, answer(True))
            while True:
                command, argument = ordered(receive(connection))
                result = None
                if command == "step":
                    block.step()
                elif command == "reset":
                    block.reset(argument)
                elif command == "render":
                    result = block.render(argument)
                else:
                    assert command == "close", command
                    return
                send(connection, answer(True, result, block.news()))
        except GoneError:
            raise
        except Exception as error:
            place = "when it was built" if block is None else block.where()
            send(connection, answer(False, (place, *told_of(error))))
    finally:
        try:
            stay_until_closed()
        finally:
            if block is not None:
                block.close()


if __name__ == "__main__":
    main()
