"""Plane geometry of paths made of lines and arcs: where they lead, and where they meet."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..core import Array


class Segment(NamedTuple):
    """A line or an arc."""

    x: float  # of its start [m]
    y: float  # of its start [m]
    heading: float  # at its start [rad]
    curvature: float  # [1/m], positive to the left; 0 is a line
    length: float  # [m]

    def at(self, s: Array | float) -> tuple[Any, Any, Any]:
        """Returns x, y [m] and heading [rad] at arc length s [m]; beyond both ends the path goes on straight."""
        s = np.asarray(s, dtype=np.float64)
        inside = np.clip(s, 0.0, self.length)
        turned = self.heading + self.curvature * inside
        if self.curvature == 0.0:
            x, y = self.x + inside * math.cos(self.heading), self.y + inside * math.sin(self.heading)
        else:
            x = self.x + (np.sin(turned) - math.sin(self.heading)) / self.curvature
            y = self.y - (np.cos(turned) - math.cos(self.heading)) / self.curvature
        return x + (s - inside) * np.cos(turned), y + (s - inside) * np.sin(turned), turned


def meet(a: Segment, b: Segment) -> list[tuple[float, float]]:
    """Returns the points where two segments cross, each as (arc length along a, along b) [m], in closed form."""
    if a.curvature == 0.0 and b.curvature == 0.0:
        ax, ay, bx, by = math.cos(a.heading), math.sin(a.heading), math.cos(b.heading), math.sin(b.heading)
        det = ax * by - ay * bx
        if abs(det) < 1e-9:
            return []
        dx, dy = b.x - a.x, b.y - a.y
        candidates = [(a.x + ax * (dx * by - dy * bx) / det, a.y + ay * (dx * by - dy * bx) / det)]
    elif a.curvature == 0.0:
        candidates = _line_and_circle(a, b)
    elif b.curvature == 0.0:
        candidates = _line_and_circle(b, a)
    else:
        candidates = _circles(a, b)
    return [
        (sa, sb) for x, y in candidates if (sa := _along(a, x, y)) is not None and (sb := _along(b, x, y)) is not None
    ]


def _circle(arc: Segment) -> tuple[float, float, float]:
    """Returns centre x, y and radius of an arc [m]."""
    r = 1.0 / arc.curvature
    return arc.x - r * math.sin(arc.heading), arc.y + r * math.cos(arc.heading), abs(r)


def _line_and_circle(line: Segment, arc: Segment) -> list[tuple[float, float]]:
    mx, my, r = _circle(arc)
    c, s = math.cos(line.heading), math.sin(line.heading)
    along, across = (mx - line.x) * c + (my - line.y) * s, (my - line.y) * c - (mx - line.x) * s
    if abs(across) >= r:
        return []
    half = math.sqrt(r * r - across * across)
    return [(line.x + c * t, line.y + s * t) for t in (along - half, along + half)]


def _circles(a: Segment, b: Segment) -> list[tuple[float, float]]:
    ax, ay, ra = _circle(a)
    bx, by, rb = _circle(b)
    d = math.hypot(bx - ax, by - ay)
    if d < 1e-9 or d >= ra + rb or d <= abs(ra - rb):
        return []
    t = (d * d + ra * ra - rb * rb) / (2 * d)
    half = math.sqrt(ra * ra - t * t)
    ux, uy = (bx - ax) / d, (by - ay) / d
    return [(ax + t * ux - k * half * uy, ay + t * uy + k * half * ux) for k in (-1.0, 1.0)]


def _along(segment: Segment, x: float, y: float) -> float | None:
    """Returns the arc length [m] of a point on the segment's line or circle; None beyond the segment's ends."""
    if segment.curvature == 0.0:
        s = (x - segment.x) * math.cos(segment.heading) + (y - segment.y) * math.sin(segment.heading)
    else:
        mx, my, r = _circle(segment)
        side = math.copysign(1.0, segment.curvature)
        turned = side * (math.atan2(y - my, x - mx) - math.atan2(segment.y - my, segment.x - mx))
        s = r * ((turned + 1e-9) % (2 * math.pi) - 1e-9)
    return s if -1e-6 <= s <= segment.length + 1e-6 else None
