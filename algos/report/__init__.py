"""What a run shows: rows, events, progress, films."""
