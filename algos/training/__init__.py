"""Training and what surrounds it: sessions, evaluation, checkpoints, run folders, loaded policies."""
