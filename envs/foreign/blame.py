"""Exceptions of foreign code as one line: type, message, and the innermost line of code that is not Coterie's."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from pathlib import Path
from types import ModuleType

import gymnasium
import numpy as np
import pettingzoo

LONGEST = 500
"""Length to which a message is cut [characters]."""

_OURS = os.path.realpath(Path(__file__).parent.parent)
_STANDARD = os.path.realpath(sysconfig.get_path("stdlib"))
_SITES = tuple(os.path.realpath(sysconfig.get_path(kind)) for kind in ("purelib", "platlib"))


def explain(error: BaseException) -> str:
    """Returns an exception as one line.

    A `ValueError` that this package raised is a message for the user already and is returned as it is. Any other
    exception gets its type and the file and line of foreign code where it was raised; without a message, also the
    source of that line.
    """
    said = _said(error)
    frames = [] if error.__traceback__ is None else traceback.extract_tb(error.__traceback__)
    if re.search(r"values to unpack \(expected [25]\b", said):
        said += (
            " (reset() must give 2 things and step() 5, as Gymnasium's and PettingZoo's do; the older gym gave 1 and 4)"
        )
    elif is_ours(error):
        return said
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({error.filename}:{error.lineno})"
    place = _innermost(frames)
    text = type(error).__name__ + (f": {said}" if said else "")
    if place is None:
        return text
    source = "" if said or not place.line else f": {' '.join(place.line.split())}"
    return f"{text} ({place.filename}:{place.lineno}{source})"


def is_ours(error: BaseException) -> bool:
    """Returns whether it is a message for the user: a `ValueError` that was raised in this package."""
    frames = [] if error.__traceback__ is None else traceback.extract_tb(error.__traceback__)
    return isinstance(error, ValueError) and bool(frames) and _is_ours(frames[-1].filename)


def one_line(text: str) -> str:
    """Returns the text without line breaks, cut to `LONGEST`."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."


def _said(error: BaseException) -> str:
    try:
        return one_line(str(error))
    except Exception:  # foreign classes may fail at anything
        return ""


def _innermost(frames: list[traceback.FrameSummary]) -> traceback.FrameSummary | None:
    """Returns the last frame in the environment itself or, where there is none, in the libraries it uses."""
    foreign = [frame for frame in frames if not _is_ours(frame.filename) and not frame.filename.startswith("<frozen")]
    own = [frame for frame in foreign if not _is_standard(frame.filename)]
    for libraries in ((gymnasium, pettingzoo, np), (np,), ()):
        folders = tuple(_folder(library) for library in libraries)
        if found := [frame for frame in own if not _is_in(frame.filename, folders)]:
            return found[-1]
    return foreign[-1] if foreign else None


def _is_ours(filename: str) -> bool:
    return _is_in(filename, (_OURS,))


def _is_standard(filename: str) -> bool:
    return _is_in(filename, (_STANDARD,)) and not _is_in(filename, _SITES)


def _folder(library: ModuleType) -> str:
    return os.path.realpath(Path(str(library.__file__)).parent)


def _is_in(filename: str, folders: tuple[str, ...]) -> bool:
    return os.path.realpath(filename).startswith(tuple(folder + os.sep for folder in folders))
