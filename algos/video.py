"""Moving pictures from frames: GIF by Pillow, PNG series, and MP4 where imageio has ffmpeg.

torch's own `add_video` needs moviepy below version 2; encoding the GIF here needs nothing that TensorBoard lacks.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .core import Array


def encode_gif(frames: Sequence[Array], step_seconds: float) -> bytes:
    """An endlessly repeating GIF.

    Args:
        frames: (height, width, 3) uint8 each, at least one.
        step_seconds: Time between two frames [s]; GIF knows hundredths, and viewers slow down below two of them.
    """
    from PIL import Image  # here: training without pictures must not need it

    # One palette for all frames: cheaper than one each, and colours do not flicker.
    strip = Image.fromarray(np.concatenate(frames[:: max(1, len(frames) // 4)], axis=0))
    palette = strip.quantize(colors=256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    duration = max(20, round(step_seconds * 100) * 10)  # [ms]
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=duration, loop=0, optimize=False)
    return buffer.getvalue()


def check_path(path: Path) -> None:
    """Says early, before an hour of work, whether `write_video` could write there.

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
            raise ValueError(f"{path}: .mp4 needs `pip install imageio imageio-ffmpeg`; .gif needs nothing") from None


def write_video(path: Path, frames: Sequence[Array], step_seconds: float) -> None:
    """Writes frames to `path` (.gif, .mp4), or for .png to a series `path-0000.png` beside it.

    Raises:
        ValueError: See `check_path`.
    """
    check_path(path)
    if path.suffix == ".gif":
        path.write_bytes(encode_gif(frames, step_seconds))
    elif path.suffix == ".png":
        from PIL import Image

        for index, frame in enumerate(frames):
            Image.fromarray(frame).save(path.with_name(f"{path.stem}-{index:04d}.png"))
    else:
        import imageio.v2 as imageio

        with imageio.get_writer(path, format="FFMPEG", fps=1 / step_seconds, macro_block_size=2) as writer:  # pyright: ignore
            for frame in frames:
                writer.append_data(frame)  # pyright: ignore[reportAttributeAccessIssue]
