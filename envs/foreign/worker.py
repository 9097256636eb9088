"""The program of a worker process, which steps some of the worlds on command.

`workers.Workers` starts the process as a plain Python interpreter that imports this module, but neither torch nor the
main script. It ends on command, and when the process that started it is gone; before that it closes its worlds
(`orphans`).
"""

from __future__ import annotations

import faulthandler
import signal
import sys
from collections.abc import Generator
from multiprocessing.connection import Connection

import cloudpickle

from .blame import explain
from .block import Block
from .board import board_in, mapped, size_of
from .orphans import Terminated, end_as, end_with, stay_until_closed
from .output import forgive
from .protocol import GoneError, answer, ordered, reason_of, receive, send


def main() -> None:
    """Runs until it is told to end; the command line has the descriptors of the connection and of the memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the training process, which then ends this one
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
    except Terminated:
        number = signal.SIGTERM
    end_as(orphan, number)


def call(connection: Connection) -> None:
    """Calls one function and answers (True, its result) or (False, (the error, whether it was a ValueError)).

    For a generator, the answer is the first value that it yields. Its rest, which closes environments, may end the
    process, because the answer has been sent by then.
    """
    task = receive(connection)
    try:
        function, arguments = cloudpickle.loads(task)
        result = function(*arguments)
        answered = True, next(result) if isinstance(result, Generator) else result
    except (KeyboardInterrupt, Terminated):
        raise
    except ValueError as error:
        answered, result = (False, (str(error), True)), None
    except BaseException as error:  # foreign code may raise anything, SystemExit too
        answered, result = (False, (explain(error), False)), None
    send(connection, cloudpickle.dumps(answered))
    if isinstance(result, Generator):
        result.close()


def serve(connection: Connection, memory: int) -> None:
    """Builds the worlds and obeys the commands of the connection; see `protocol`.

    After an exception the worlds may be in any state, so the process ends. Only a failure to draw does not end it: the
    answer is then the error in place of the picture.
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
            send(connection, answer(False, (place, *reason_of(error))))
    finally:
        try:
            stay_until_closed()
        finally:
            if block is not None:
                block.close()


if __name__ == "__main__":
    main()
