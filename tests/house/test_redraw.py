"""Pictures of learning curves are drawn from stored results, as a grid that fits a page, under titles that explain."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def curves(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import learning_curves  # pyright: ignore[reportMissingImports]

    return learning_curves


def size(picture: Path) -> tuple[int, int]:
    """Width and height [pixels]."""
    from PIL import Image

    with Image.open(picture) as image:
        return image.size


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("small-4 --threads 1 --total-steps 3.4e6 (0 min)", "small-4"),
        ("large-16 --threads 1 (10 min)", "large-16 (at most 10 min)"),
        ("spread maddpg --threads 1", "spread maddpg"),
    ],
)
def test_titles_say_what_they_mean(key: str, title: str, curves: Any) -> None:
    assert curves.title(key) == title


@pytest.mark.parametrize(("n_keys", "wide", "high"), [(1, 1, 1), (4, 4, 1), (5, 3, 2), (16, 4, 4)])
def test_a_picture_is_a_grid_not_a_row(n_keys: int, wide: int, high: int, curves: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    keys = [f"task {number}" for number in range(n_keys)]
    data = tmp_path / "curves.jsonl"
    rows = [{"row": key, "seed": 0, "step": step, "return": step} for key in keys for step in (0, 100)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    levels = {key: {"return": {"random": {"value": 1.0}}} for key in keys}
    assert curves.draw(levels, ("return",), data, tmp_path / "a.png")
    assert size(tmp_path / "a.png") == (int(4.2 * wide * 110), 3 * high * 110)


def test_the_stored_pictures_are_readable_and_can_be_drawn_again(curves: Any) -> None:
    import redraw  # pyright: ignore[reportMissingImports]

    for name in redraw.PICTURES:
        width, height = size(BENCHMARKS / "results" / f"{name}.png")
        assert width <= 2000
        assert 0.3 < height / width < 3
        assert (BENCHMARKS / "results" / f"{name}_curves.jsonl").exists()
    assert "redraw" in sys.modules
