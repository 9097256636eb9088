"""From options to what was learned: the session, evaluation, checkpoints, the run folder, the loaded policy."""
