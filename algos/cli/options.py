"""Options from typed dataclasses, and mistakes in one readable line.

tyro does the work. Two things are added: environment and algorithm are looked up first, so that the help shows their
options, and a mistake gives one line with the most similar name instead of a box.
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
    """Reads an integer as people write it: 2000000, 2_000_000 or 2e6."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise ValueError(f"{text!r} is not a whole number")
    return int(text) if text.lstrip("+-").isdigit() else int(number)


def real_number(text: str) -> float:
    """Reads a floating-point number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


_NUMBERS = tyro.constructors.ConstructorRegistry()


@_NUMBERS.primitive_rule
def _number_rule(
    info: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """Reads whole numbers such as 2e6, and reports mistakes in plain words."""
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
    """Returns the last value given to an option such as `--env`, or None; `--env X` and `--env=X` are the same."""
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
    """Returns `value` if it is allowed.

    Raises:
        UsageError: It is not; the message lists the allowed values and suggests the most similar.
    """
    allowed = list(allowed)
    if value in allowed:
        return value
    hint = hints.did_you_mean(hints.nearest(value, allowed))
    raise UsageError(f"{option} {value}: unknown {what}; allowed: {', '.join(allowed)}{hint}")


def group(name: str, **fields: tuple[str, str, str | None, Sequence[str]]) -> Any:
    """Makes a frozen dataclass, and an instance of it, for choices that are looked up before parsing.

    Args:
        name: Name of the group in the help.
        **fields: By field name: option without dashes, help, value, and allowed values; None makes it required.
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
    """Makes a dataclass with the fields of `typed` and a field of free text for each key, and an instance of it.

    Args:
        typed: A frozen dataclass.
        texts: Defaults of the other fields by name.
    """
    anything = Annotated[str, tyro.conf.arg(metavar="VALUE", help="Passed to the constructor.")]
    fields = [(key, anything, default) for key, default in texts.items()]
    return dataclasses.make_dataclass(typed.__name__, fields, bases=(typed,), frozen=True)()


def apart(name: str, instance: Any) -> dict[str, Any]:
    """Divides a dataclass instance into parts for `parse`: itself as `name`, and each dataclass in it by its field.

    The parts in it are no options of `name`; `joined` puts them back.
    """
    nested = {
        field.name: getattr(instance, field.name)
        for field in dataclasses.fields(instance)
        if dataclasses.is_dataclass(getattr(instance, field.name))
    }
    if not nested:
        return {name: instance}
    kind = type(instance)
    hidden = [(part, Annotated[type(value), tyro.conf.Suppress], value) for part, value in nested.items()]
    made = dataclasses.make_dataclass(kind.__name__, hidden, bases=(kind,), frozen=True)
    return {name: made(**{one.name: getattr(instance, one.name) for one in dataclasses.fields(instance)}), **nested}


def joined(name: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Undoes `apart`: returns the values of all fields, those of the parts in it as dictionaries."""
    return {
        one.name: dataclasses.asdict(parts[one.name])
        if dataclasses.is_dataclass(getattr(parts[name], one.name))
        else getattr(parts[name], one.name)
        for one in dataclasses.fields(parts[name])
    }


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
        parts: Dataclass instances by name; their options are called `--name.field`.
        argv: The command line without the program.
        flat: Names of the parts whose options are called just `--field`.
        program: Name of the program in the help.
        about: Text above the options in the help.
        elsewhere: Parts that have an option that is unknown here, by option, for the message.

    Returns:
        The parts by name, with the values that were given.

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
    """Returns the names of all options, such as `--env.n-robots`, and for a switch also `--env.no-battery`."""
    found = ["--help"]
    for part, instance in parts.items():
        lead = "--" if part in flat else f"--{part}."
        for field in dataclasses.fields(instance):
            if dataclasses.is_dataclass(getattr(instance, field.name)):
                continue
            given = [annotation.name for annotation in get_args(field.type)[1:] if getattr(annotation, "name", None)]
            name = (given[0] if given else field.name).replace("_", "-")
            found.append(lead + name)
            if isinstance(getattr(instance, field.name), bool):
                found.append(f"{lead}no-{name}")
    return found


def spread_lists(parts: dict[str, Any], argv: Sequence[str], flat: Iterable[str]) -> list[str]:
    """Rewrites lists as tyro reads them: `--algo.hidden 64,64`, `[64, 64]` and `(64,64)` become `64 64`."""
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
    """Replaces names of fields in a message by names of options, spelled as they were typed.

    Args:
        line: The message. A name is replaced at its start and before an equals sign; one of several words anywhere.
        instance: The dataclass, or an instance of it.
        lead: Beginning of its options, `--` or `--algo.`.
        argv: The command line.
    """
    typed = {word.split("=", 1)[0].replace("_", "-"): word.split("=", 1)[0] for word in argv if word.startswith("--")}
    for field in dataclasses.fields(instance):
        name = re.escape(field.name)
        option = lead + field.name.replace("_", "-")
        option = typed.get(option, option)
        line = re.sub(rf"^{name}(?=[ =,:])|(?<![\w.-]){name}(?==)", option, line)
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
    """Refuses options that are not known.

    Args:
        known: The options that are allowed.
        argv: The command line.
        others: Options that the message may suggest beside `known`.
        elsewhere: See `parse`.

    Raises:
        UsageError: An option is not known.
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
    """Returns the first paragraph of a box of tyro's, and the part of the options that it names; "" for none."""
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
