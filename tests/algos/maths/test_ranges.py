"""The one check of options: by annotation, with the range in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from algos.maths.ranges import Range, check


@dataclass(frozen=True)
class Options:
    rate: Annotated[float, Range(0.0, 1.0, above=True)] = 0.5
    count: Annotated[int, Range(1, 10)] = 3
    limit: Annotated[float | None, Range(1, 5)] = None
    sizes: Annotated[tuple[int, ...], Range(1, 9)] = (1, 2)
    kind: Literal["a", "b"] = "a"
    only: Annotated[int, Range(0, 0)] = 0

    def __post_init__(self) -> None:
        check(self)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("rate", 0.0, "rate is 0.0; it must be a positive number, at most 1"),
        ("count", 11, "count is 11; allowed are 1 to 10"),
        ("count", 2.0, "count is 2.0; it must be a whole number: 1 to 10"),
        ("limit", 6, "limit is 6; allowed are 1 to 5"),
        ("sizes", (3, 10), "sizes is (3, 10); allowed are 1 to 9"),
        ("kind", "c", "kind is 'c'; allowed are 'a', 'b'"),
        ("only", 1, "only is 1; it must be 0"),
    ],
)
def test_what_is_not_allowed_is_one_line(name: str, value: Any, line: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole line is compared
        Options(**{name: value})
    assert str(caught.value) == line


def test_what_is_allowed_passes() -> None:
    Options(rate=1.0, count=10, limit=5, sizes=(9,), kind="b")
    Options(limit=None)


def test_a_number_without_a_range_is_our_mistake() -> None:
    @dataclass(frozen=True)
    class Loose:
        number: int = 1

    with pytest.raises(AssertionError, match="number has no range"):
        check(Loose())
