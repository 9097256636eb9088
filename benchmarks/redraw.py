"""Draws the pictures in the docs again, from the results that are stored beside them; nothing is trained.

pip install -c constraints.txt matplotlib
python benchmarks/redraw.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import communication_pictures
import consensus_pictures
import credit_pictures
import learning_curves
import report

PICTURES: dict[str, tuple[tuple[str, ...], float | None]] = {
    "learning": (("return",), None),
    "warehouse_learning": (("orders_per_hour", "contacts"), 0.0),
}
"""By the name of the results: panels, and the lowest value of their axes."""


def redraw(name: str, picture: Path | None = None) -> bool:
    """Draws one of `PICTURES`; False without matplotlib."""
    results = report.RESULTS / f"{name}.json"
    rows = json.loads(results.read_text(encoding="utf-8"))["rows"]
    levels = {key: row["summary"] for key, row in rows.items()}
    panels, bottom = PICTURES[name]
    curves = results.with_name(f"{name}_curves.jsonl")
    return learning_curves.draw(levels, panels, curves, picture or results.with_suffix(".png"), bottom=bottom)


def main() -> int:
    """Draws all pictures."""
    for name in PICTURES:
        if not redraw(name):
            print("no pictures: matplotlib is not installed (pip install matplotlib)", file=sys.stderr)
            return 1
        print(f"drawn: {name}.png")
    communication_pictures.redraw()
    print("drawn: communication_junction.png, communication_bits.png")
    credit_pictures.redraw()
    print("drawn: credit.png")
    consensus_pictures.redraw()
    print("drawn: consensus.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
