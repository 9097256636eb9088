"""The window of `render_mode="human"`: it shows an episode at the speed of the simulated clock."""

from __future__ import annotations

from typing import Any

from .core import Array, BatchEnv

LONGEST_STEP = 0.5
"""Longest time for which the window shows one step of the environment [s]."""
FRAME_RATE = 20.0
"""Frames a second, in environments that can draw moments between two steps."""


def shown_seconds(step_seconds: float) -> float:
    """Returns how long the window shows a step that simulates `step_seconds` [s]."""
    return min(step_seconds, LONGEST_STEP)


def frames_a_step(env: BatchEnv) -> int:
    """Returns how many frames show one step: 1, unless the environment can draw moments in between."""
    blends = callable(getattr(env, "between", None))
    return max(1, round(shown_seconds(env.step_seconds) * FRAME_RATE)) if blends else 1


class Window:
    """A window on the screen, opened by the first frame.

    Args:
        title: Text of its title bar.
        frames_per_second: Rate at which `show` returns.
    """

    def __init__(self, title: str, frames_per_second: float) -> None:
        self.title = title
        self.frames_per_second = frames_per_second
        self.shut = False
        """Whether the user has closed the window; it then stays closed."""
        self._screen: Any = None
        self._clock: Any = None

    def show(self, frame: Array) -> None:
        """Shows a picture, (height, width, 3) uint8, and waits until it is time for the next.

        It does not wait under SDL's driver `dummy`, which shows nothing.
        """
        import pygame  # here, so that training and pictures in files never need a display

        if self.shut:
            return
        if self._screen is None:
            pygame.display.init()
            pygame.display.set_caption(self.title)
            self._screen = pygame.display.set_mode((frame.shape[1], frame.shape[0]))
            self._clock = pygame.time.Clock()
        self._screen.blit(pygame.surfarray.make_surface(frame.swapaxes(0, 1)), (0, 0))  # pygame is width first
        pygame.display.flip()
        if pygame.display.get_driver() != "dummy":
            self._clock.tick(self.frames_per_second)
        if any(event.type == pygame.QUIT for event in pygame.event.get()):
            self.close()
            self.shut = True  # otherwise the next step would open it again

    def close(self) -> None:
        """Closes the window, if it is open."""
        if self._screen is not None:
            import pygame

            pygame.display.quit()
            self._screen = None
