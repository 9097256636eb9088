"""Experience to learn from: rollouts, replays, priorities, minibatches."""
