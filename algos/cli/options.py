"""The command line: typed dataclasses to options, and mistakes to one readable line.

tyro does the work. What is added: environment and algorithm are looked up first, so that their own options show in the
help, and a mistake is one line with the nearest name instead of a box.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

import tyro

from . import hints


class UsageError(ValueError):
    """A mistake on the command line; the message is one line without the program's name."""


def whole_number(text: str) -> int:
    """An integer as people write it: 2000000, 2_000_000 or 2e6."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise ValueError(f"{text!r} is not a whole number")
    return int(text) if text.lstrip("+-").isdigit() else int(number)


def real_number(text: str) -> float:
    """A floating-point number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


_NUMBERS = tyro.constructors.ConstructorRegistry()


@_NUMBERS.primitive_rule
def _number_rule(
    info: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """Whole numbers may be written as 2e6, and mistakes are said in plain words."""
    if info.type is int:
        read, accepted = whole_number, int
    elif info.type is float:
        read, accepted = real_number, (int, float)
    else:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT" if info.type is int else "FLOAT",
        instance_from_str=lambda texts: read(texts[0]),
        is_instance=lambda value: isinstance(value, accepted) and not isinstance(value, bool),
        str_from_instance=lambda value: [str(value)],
    )


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
    hint = hints.did_you_mean(hints.nearest(value, allowed))
    raise UsageError(f"{option} {value}: unknown {what}; allowed: {', '.join(allowed)}{hint}")


def group(name: str, **fields: tuple[str, str, str | None, Sequence[str]]) -> Any:
    """An instance of a new frozen dataclass of choices that were looked up before parsing, for the help to show.

    Args:
        name: Of the group.
        **fields: By field name: option without dashes, help, value, allowed values; without a value it is required.
    """
    made = dataclasses.make_dataclass(
        name,
        [
            (
                field,
                Annotated[Literal[tuple(allowed)], tyro.conf.arg(name=option, help=words)],  # pyright: ignore
                tyro.MISSING if value is None else value,
            )
            for field, (option, words, value, allowed) in fields.items()
        ],
        frozen=True,
    )
    return made()


def with_texts(typed: type[Any], texts: Mapping[str, str]) -> Any:
    """An instance of a new dataclass: the fields of `typed`, a frozen one, and one of free text for each key.

    Args:
        typed: What is known beforehand.
        texts: Defaults by key.
    """
    anything = Annotated[str, tyro.conf.arg(metavar="VALUE", help="Handed to the constructor.")]
    fields = [(key, anything, default) for key, default in texts.items()]
    return dataclasses.make_dataclass(typed.__name__, fields, bases=(typed,), frozen=True)()


def parse(
    parts: dict[str, Any],
    argv: Sequence[str],
    *,
    flat: Iterable[str],
    program: str,
    about: str,
    elsewhere: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Reads options into copies of dataclass instances, whose values are the defaults.

    Args:
        parts: Dataclass instances by name; their options are `--name.field`.
        argv: The command line without the program.
        flat: Names of the parts whose options are just `--field`.
        program: For the help.
        about: For the help.
        elsewhere: Options that are unknown here, and whose they are.

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
    refuse_unknown(names(parts, flat), argv, elsewhere=elsewhere)
    argv = spread_lists(parts, argv, flat)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            parsed = tyro.cli(
                shape, args=list(argv), default=shape(**parts), prog=program, description=about, registry=_NUMBERS
            )
    except SystemExit as end:
        if end.code in (0, None):
            raise
        line, part = _in_one_line(complaint.getvalue())
        if part in parts:
            line = with_options(line, parts[part], "--" if part in flat else f"--{part}.", argv)
        raise UsageError(line) from None
    return {name: getattr(parsed, name) for name in parts}


def names(parts: dict[str, Any], flat: set[str]) -> list[str]:
    """All options, as `--env.n-robots`; `--env.no-battery` too for a switch."""
    found = ["--help"]
    for part, instance in parts.items():
        lead = "--" if part in flat else f"--{part}."
        for field in dataclasses.fields(instance):
            given = [annotation.name for annotation in get_args(field.type)[1:] if getattr(annotation, "name", None)]
            name = (given[0] if given else field.name).replace("_", "-")
            found.append(lead + name)
            if isinstance(getattr(instance, field.name), bool):
                found.append(f"{lead}no-{name}")
    return found


def spread_lists(parts: dict[str, Any], argv: Sequence[str], flat: Iterable[str]) -> list[str]:
    """The command line with lists as tyro reads them: `--algo.hidden 64,64`, `[64, 64]` and `(64,64)` as `64 64`."""
    lists = {
        ("--" if part in flat else f"--{part}.") + field.name.replace("_", "-")
        for part, instance in parts.items()
        for field in dataclasses.fields(instance)
        if isinstance(getattr(instance, field.name, None), tuple)
    }
    spread: list[str] = []
    inside = False
    for word in argv:
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            inside = option.replace("_", "-") in lists
            if inside and equals:
                spread += [option, *_items(value)]
                continue
            spread.append(word)
        else:
            spread += _items(word) if inside else [word]
    return spread


def _items(text: str) -> list[str]:
    return re.sub(r"[\[\](){},;]", " ", text).split()


def with_options(line: str, instance: Any, lead: str, argv: Sequence[str]) -> str:
    """A message about fields of a dataclass, with the options' names in their place, in the spelling that was typed.

    Args:
        line: Begins with a field's name, or has it before an equals sign; names of several words may stand anywhere.
        instance: The dataclass.
        lead: Of its options, `--` or `--algo.`.
        argv: The command line.
    """
    typed = {word.split("=", 1)[0].replace("_", "-"): word.split("=", 1)[0] for word in argv if word.startswith("--")}
    for field in dataclasses.fields(instance):
        name = re.escape(field.name)
        option = lead + field.name.replace("_", "-")
        option = typed.get(option, option)
        line = re.sub(rf"^{name}(?=[ =,])|(?<![\w.-]){name}(?==)", option, line)
        if "_" in field.name:
            line = re.sub(rf"(?<![\w.-]){name}(?!\w)", option, line)
    return line


def refuse_unknown(
    known: Sequence[str],
    argv: Sequence[str],
    *,
    others: Sequence[str] = (),
    elsewhere: Mapping[str, str] | None = None,
) -> None:
    """Raises `UsageError` for an option that is not among `known`.

    Args:
        known: What is allowed.
        argv: The command line.
        others: What the message may name beside `known`.
        elsewhere: See `parse`.
    """
    for word in argv:
        if not re.match("--|-(?!(inf|nan)$)[A-Za-z]", word) or word.startswith("--tyro-") or word == "-h":
            continue
        option = word.split("=", 1)[0]
        plain = option.replace("_", "-")
        if not word.startswith("--"):  # as in `-lr 3`
            plain = f"-{plain}"
            meant = [plain] if plain in known else hints.suggestions(plain, [*known, *others])
            raise UsageError(f"unknown option {option}{hints.did_you_mean(meant) or '; --help lists all'}")
        if plain not in known:
            meant = hints.suggestions(plain, [*known, *others])
            if not meant and elsewhere and plain in elsewhere:
                raise UsageError(f"{option} is an option of {elsewhere[plain]} only; --help lists those there are here")
            raise UsageError(f"unknown option {option}{hints.did_you_mean(meant) or '; --help lists all'}")


def _in_one_line(box: str) -> tuple[str, str]:
    """The first paragraph of one of tyro's boxes, and the part of the options that it is about, if it says so."""
    # Where the terminal knows no box characters, there is no frame, and a rule below the title.
    lines = [line.strip("│╭╮╰╯ ") for line in box.splitlines()]
    lines = [line for line in lines if line]
    words: list[str] = []
    for line in lines[1:]:  # the first is the box's title
        if not set(line) <= {"─", "-"}:
            words.append(line)
        elif words:
            break
    message = " ".join(words)
    if match := re.match(r"invalid choice '(.*)' for argument '(\S+)'. Expected one of \((.*)\)", message):
        value, option, choices = match.groups()
        allowed = re.findall(r"'([^']*)'", choices)
        near = hints.did_you_mean(hints.nearest(value, allowed))
        return f"{option} {value}: allowed: {', '.join(allowed)}{near}", ""
    if match := re.match(r"Unrecognized options: (.*)", message):
        return f"{match[1]}: belongs to no option; a switch takes no value: --env.battery or --env.no-battery, say", ""
    if match := re.match(r"Missing value for argument '(\S+)'", message):
        return f"{match[1]}: a value is missing", ""
    if match := re.match(r"Error parsing (-?\S+): (.*)", message):
        option, reason = match.groups()
        if found := re.match(r"(?:no type matching (\S+) could|Could not find valid parse).*?\[(.*?)\]", reason):
            came = " ".join(re.findall(r"'([^']*)'", found[2]))
            reason = f"{came!r} does not fit" + (f"; expected {found[1]}" if found[1] else "; --help shows what does")
        return (f"{option}: {reason}", "") if option.startswith("-") else (reason, option)
    return message[:1].lower() + message[1:], ""
