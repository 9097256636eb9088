"""The window of `render_mode="human"` keeps the pace of the simulated clock, but not where nobody can see it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pygame
import pytest

from envs.window import Window


class Clock:
    """Notes the rates that it is asked to keep, and waits for nothing."""

    def __init__(self, rates: list[float]) -> None:
        self.rates = rates

    def tick(self, rate: float) -> None:
        self.rates.append(rate)


@pytest.mark.parametrize(("driver", "expected"), [("x11", [4.0, 4.0, 4.0]), ("dummy", [])])
def test_a_window_waits_only_where_somebody_can_see_it(
    driver: str, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    monkeypatch.setattr(pygame.time, "Clock", lambda: Clock(rates))
    monkeypatch.setattr(pygame.display, "get_driver", lambda: driver)
    window: Any = Window("a test", 4.0)
    for _ in range(3):
        window.show(np.zeros((8, 16, 3), np.uint8))
    window.close()
    assert rates == expected
