"""The command line: typed dataclasses to options, and mistakes to one readable line.

tyro does the work. What is added: environment and algorithm are looked up first, so that their own options show in the
help, and a mistake is one line with the nearest name instead of a box.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args

import tyro

C = TypeVar("C")


class UsageError(ValueError):
    """A mistake on the command line; the message is one line without the program's name."""


def whole_number(text: str) -> int:
    """An integer as people write it: 2000000, 2_000_000 or 2e6."""
    number = float(text)
    if number != int(number):
        raise ValueError(f"{text!r} is not a whole number")
    return int(number)


Count = Annotated[
    int,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="COUNT",
        instance_from_str=lambda texts: whole_number(texts[0]),
        is_instance=lambda value: isinstance(value, int),
        str_from_instance=lambda value: [str(value)],
    ),
]
"""A whole number that may be written as 2e6."""


def find(argv: Sequence[str], option: str) -> str | None:
    """The last value given to `option` (`--env`), or None; `--env X` and `--env=X` are the same."""
    found = None
    for index, word in enumerate(argv):
        if word.startswith(option + "="):
            found = word[len(option) + 1 :]
        elif word == option:
            if index + 1 == len(argv) or argv[index + 1].startswith("--"):
                raise UsageError(f"{option}: a value is missing")
            found = argv[index + 1]
    return found


def one_of(option: str, value: str, allowed: Iterable[str], what: str) -> str:
    """`value`, if it is allowed.

    Raises:
        UsageError: It is not; the message has all that are, and the nearest.
    """
    allowed = list(allowed)
    if value in allowed:
        return value
    raise UsageError(f"{option} {value}: unknown {what}; allowed: {', '.join(allowed)}{_did_you_mean(value, allowed)}")


def group(name: str, **fields: tuple[str, str, str, Sequence[str]]) -> Any:
    """An instance of a new frozen dataclass of choices that were looked up before parsing, for the help to show.

    Args:
        name: Of the group.
        **fields: By field name: option without dashes, help, value, allowed values.
    """
    made = dataclasses.make_dataclass(
        name,
        [
            (field, Annotated[Literal[tuple(allowed)], tyro.conf.arg(name=option, help=words)], value)  # pyright: ignore
            for field, (option, words, value, allowed) in fields.items()
        ],
        frozen=True,
    )
    return made()


def parse(
    parts: dict[str, Any], argv: Sequence[str], *, flat: Iterable[str], program: str, about: str
) -> dict[str, Any]:
    """Reads options into copies of dataclass instances, whose values are the defaults.

    Args:
        parts: Dataclass instances by name; their options are `--name.field`.
        argv: The command line without the program.
        flat: Names of the parts whose options are just `--field`.
        program: For the help.
        about: For the help.

    Returns:
        The parts with what was given.

    Raises:
        UsageError: An option is unknown, or a value does not fit.
        SystemExit: Help was asked for, and is printed.
    """
    flat = set(flat)
    shape = dataclasses.make_dataclass(
        "Options",
        [(name, tyro.conf.OmitArgPrefixes[type(part)] if name in flat else type(part)) for name, part in parts.items()],
    )
    _refuse_unknown(_option_names(parts, flat), argv)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            parsed = tyro.cli(shape, args=list(argv), default=shape(**parts), prog=program, description=about)
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise UsageError(_in_one_line(complaint.getvalue())) from None
    return {name: getattr(parsed, name) for name in parts}


def _option_names(parts: dict[str, Any], flat: set[str]) -> list[str]:
    """All options, as `--env.n-robots`; `--env.no-battery` too for a switch."""
    names = ["--help"]
    for part, instance in parts.items():
        lead = "--" if part in flat else f"--{part}."
        for field in dataclasses.fields(instance):
            given = [annotation.name for annotation in get_args(field.type)[1:] if getattr(annotation, "name", None)]
            name = (given[0] if given else field.name).replace("_", "-")
            names.append(lead + name)
            if isinstance(getattr(instance, field.name), bool):
                names.append(f"{lead}no-{name}")
    return names


def _refuse_unknown(known: list[str], argv: Sequence[str]) -> None:
    for word in argv:
        if not word.startswith("--") or word.startswith("--tyro-"):
            continue
        option = word.split("=", 1)[0]
        plain = option.replace("_", "-")
        if plain not in known:
            raise UsageError(f"unknown option {option}{_did_you_mean(plain, known) or '; --help lists all'}")


def _did_you_mean(word: str, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, allowed, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _in_one_line(box: str) -> str:
    """The first paragraph of one of tyro's boxes, with what kind of value was expected."""
    lines = [line.strip("│╭╮╰╯ ") for line in box.splitlines()]
    lines = [line for line in lines if line]
    words: list[str] = []
    for line in lines[1:]:  # the first is the box's title
        if set(line) <= {"─"}:
            break
        words.append(line)
    message = " ".join(words)
    match = re.fullmatch(r"Error parsing (?P<option>\S+): (?P<reason>.*)", message)
    if match is None:
        return message[:1].lower() + message[1:]
    option, reason = match["option"], match["reason"]
    expected = next((line[len(option) :].strip() for line in lines if line.startswith(option + " ")), "")
    return f"{option}: {reason}" + (f"; expected {expected}" if expected else "")
