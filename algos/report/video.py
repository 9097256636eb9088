"""Video files from frames: GIF by Pillow, series of PNG, and MP4 if imageio has ffmpeg.

torch's own `add_video` needs moviepy below version 2; a GIF encoded here needs nothing beyond TensorBoard.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..core import Array

MOST_FRAMES = 40_000
"""Most frames of any film: half an hour."""
_LOOKED_AT = 100
"""Number of first frames that decide on the colours of a GIF; the others are reduced as they come, which takes a third
of the memory."""
_LONGEST_GIF = 3_000
"""Most frames of a GIF; all are held in memory, some gigabytes."""


def encode_gif(frames: Iterable[Array], frame_seconds: float) -> bytes:
    """Encodes an endlessly repeating GIF.

    Args:
        frames: (height, width, 3) uint8 each, at least one.
        frame_seconds: Duration of a frame [s]. GIF has a resolution of 0.01 s, and viewers slow down below 0.02 s.
    """
    from PIL import Image  # here: training without pictures must not need it

    # One palette for all frames: cheaper than one each, and colours do not flicker.
    rest = iter(frames)
    first = list(itertools.islice(rest, _LOOKED_AT))
    strip = Image.fromarray(np.concatenate(first[:: max(1, len(first) // 4)], axis=0))
    palette = strip.quantize(colors=256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in itertools.chain(first, rest)
    ]
    buffer = io.BytesIO()
    duration = max(20, round(frame_seconds * 100) * 10)  # [ms]
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=duration, loop=0, optimize=False)
    return buffer.getvalue()


def check_path(path: Path) -> None:
    """Checks early, before an hour of work, that `write_video` can write to a path.

    Raises:
        ValueError: The ending is unknown, the folder is missing, or MP4 is asked for without imageio's ffmpeg.
    """
    if path.suffix not in (".gif", ".mp4", ".png"):
        raise ValueError(f"{path}: unknown kind of video; allowed: .gif, .mp4, .png (a numbered series)")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}")
    if path.suffix == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401  (only whether it is there)  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ValueError(
                f"{path}: .mp4 needs ffmpeg (pip install imageio-ffmpeg, or 'coterie[video]'); .gif needs nothing"
            ) from None


def most_frames(path: Path) -> int:
    """Returns the most frames that a file of this kind may have."""
    return _LONGEST_GIF if path.suffix == ".gif" else MOST_FRAMES


def check_length(path: Path, n_frames: int) -> None:
    """Checks early that a film is short enough to be written.

    Raises:
        ValueError: It has too many frames.
    """
    most = most_frames(path)
    if n_frames > most:
        other = "; use .mp4" if path.suffix == ".gif" else ""
        raise ValueError(f"{path}: {n_frames:,} frames are too many for {path.suffix}, which takes {most:,}{other}")


def write_video(path: Path, frames: Iterable[Array], frame_seconds: float) -> None:
    """Writes frames to `path` (.gif, .mp4), or for .png to a series `path-0000.png` beside it.

    Raises:
        ValueError: See `check_path`.
    """
    check_path(path)
    if path.suffix == ".gif":
        path.write_bytes(encode_gif(frames, frame_seconds))
    elif path.suffix == ".png":
        from PIL import Image

        for index, frame in enumerate(frames):
            Image.fromarray(frame).save(path.with_name(f"{path.stem}-{index:04d}.png"))
    else:
        import imageio.v2 as imageio

        with imageio.get_writer(path, format="FFMPEG", fps=1 / frame_seconds, macro_block_size=2) as writer:  # pyright: ignore
            for frame in frames:
                writer.append_data(frame)  # pyright: ignore[reportAttributeAccessIssue]
