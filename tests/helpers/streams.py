"""Shapes to check algorithms with, beside the random play that `algos.training.random_play` offers."""

from __future__ import annotations

from algos.training.conformance import SPECS as NAMED
from algos.training.random_play import Stream, drive, same

__all__ = ["SPECS", "Stream", "drive", "same"]

SPECS = list(NAMED.values())
