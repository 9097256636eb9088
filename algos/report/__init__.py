"""Reports of a run: rows of scalars, TensorBoard events, progress on the screen, and video files."""
