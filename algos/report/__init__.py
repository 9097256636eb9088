"""What a run reports: rows of scalars, TensorBoard events, progress on the screen, and video files."""
