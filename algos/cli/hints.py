"""Suggestions for unknown options: by the last part of the name, by names in other code bases, by similarity."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_NEAR = 0.75
"""Least similarity (`difflib`) of a suggestion; a letter or two of a short name may differ."""

_SAME: tuple[tuple[str, ...], ...] = (
    # Each row holds names of one thing, in any order; those that are options here are suggested.
    ("lr", "policy-lr", "critic-lr", "learning-rate", "alpha", "step-size", "actor-lr", "lr-actor", "lr-critic"),
    ("gamma", "discount", "discount-factor"),
    ("gae-lambda", "lambda", "lam", "gae", "lmbda"),
    ("batch", "minibatches", "batch-size", "minibatch-size", "mini-batch-size", "num-minibatches", "num-mini-batch"),
    ("rollout-steps", "n-steps", "num-steps", "rollout-length", "rollout", "horizon-length", "train-batch-size"),
    ("epochs", "n-epochs", "num-epochs", "update-epochs", "ppo-epoch", "ppo-epochs", "num-sgd-iter"),
    ("clip-coef", "clip", "clip-range", "clip-param", "eps-clip", "clip-epsilon"),
    ("ent-coef", "entropy", "entropy-coef", "entropy-coeff", "ent", "entropy-bonus"),
    ("max-grad-norm", "grad-norm", "grad-clip", "clip-grad", "max-norm", "gradient-clip"),
    ("hidden", "hidden-size", "hidden-sizes", "hidden-dim", "hidden-layers", "layers", "net-arch", "units", "width"),
    ("gru", "rnn", "lstm", "recurrent", "use-rnn", "rnn-hidden-dim", "use-recurrent-policy"),
    ("replay-size", "buffer-size", "buffer", "replay", "memory-size", "replay-buffer-size", "capacity"),
    ("warm-up", "warmup", "learning-starts", "start-steps", "random-steps", "warmup-steps"),
    ("tau", "polyak", "soft-update", "target-update"),
    ("n-step", "nstep", "multi-step"),
    ("prioritised", "prioritized", "per", "priority"),
    ("anneal", "anneal-lr", "lr-schedule", "use-linear-lr-decay"),
    ("credit", "reward", "credit-assignment", "reward-mode", "team-reward", "shared-reward"),
    ("share", "share-policy", "parameter-sharing", "share-parameters"),
    ("total-steps", "steps", "timesteps", "total-timesteps", "num-env-steps", "t-max", "max-frames", "frames"),
    ("n-worlds", "n-envs", "num-envs", "envs", "num-workers", "n-rollout-threads", "worlds", "parallel"),
    ("n-workers", "num-workers", "workers", "processes"),
    ("eval-episodes", "n-eval-episodes", "num-eval-episodes", "episodes"),
    ("eval-every", "eval-freq", "eval-interval", "evaluate-every"),
    ("save-every", "save-freq", "save-interval", "checkpoint-every", "checkpoint-freq"),
    ("log-every", "log-interval", "log-freq"),
    ("video-every", "record-every", "video-interval", "video-freq"),
    ("videos", "video", "record", "film", "capture-video", "record-video"),
    ("log-dir", "logdir", "out", "output", "output-dir", "out-dir", "save-dir", "results"),
    ("run-name", "name", "exp-name", "experiment", "experiment-name", "run"),
    ("device", "cuda", "gpu", "use-cuda", "no-cuda"),
    ("threads", "num-threads", "n-threads", "cpus", "torch-threads"),
    ("quiet", "silent", "no-progress"),
    ("env", "environment", "env-id", "env-name", "game"),
    ("algo", "algorithm", "alg", "agent", "method"),
    ("task", "scenario", "map-name"),
    ("layout", "map"),
    ("max-steps", "max-cycles", "time-limit", "max-episode-steps", "episode-length", "episode-limit", "horizon"),
    ("n-agents", "n-robots", "n-vehicles", "n-nodes", "num-agents", "agents", "robots", "cars", "vehicles", "nodes"),
    ("continuous", "continuous-actions"),
    ("seed", "random-seed"),
    ("checkpoint", "ckpt"),
    ("resume", "continue", "load", "restore", "load-model"),
    ("evaluate", "eval", "evaluation", "test", "play", "enjoy"),
)


def suggestions(option: str, known: Sequence[str]) -> list[str]:
    """Returns options that may have been meant, the most likely first; [] if none is similar.

    Args:
        option: The unknown option with its dashes: `--lr`, `--algo.learning_rate`.
        known: All options, spelled with dashes.
    """
    lead, last = _parts(option)
    negative = last.removeprefix("no-")
    tails: dict[str, list[str]] = {}
    for name in known:
        tails.setdefault(_parts(name)[1], []).append(name)

    def named(names: Iterable[str]) -> list[str]:
        found = [full for name in names for full in tails.get(name, ())]
        return sorted(found, key=lambda full: _parts(full)[0] != lead)  # options of the same part come first

    if there := named([last]):
        return there[:2]
    meanings = [row for row in _SAME if last in row or negative in row]
    if there := named(name for row in meanings for name in row if name != last):
        of_part = [full for full in there if _parts(full)[0] == lead]
        return list(dict.fromkeys(of_part or there))[:2]
    of_part = [name for name in tails if any(_parts(full)[0] == lead for full in tails[name])]
    if len(last) == 1 and (letters := named(name for name in of_part if len(name) == 1)):
        return letters[:1]
    for names, enough in ((of_part, 0.7), (list(tails), _NEAR)):
        if near := difflib.get_close_matches(last, names, n=1, cutoff=enough):
            return named(near)[:1]
    spoken = sorted({name for row in _SAME for name in row})
    near = difflib.get_close_matches(last, spoken, n=1, cutoff=0.85)
    return suggestions(f"--{lead}.{near[0]}" if lead else f"--{near[0]}", known) if near and last not in spoken else []


def did_you_mean(words: Sequence[str]) -> str:
    """Returns the text ` (did you mean a or b?)`; "" for no suggestions."""
    return f" (did you mean {' or '.join(words)}?)" if words else ""


def nearest(word: str, allowed: Iterable[str]) -> list[str]:
    """Returns the allowed value that is most similar, in a list; [] if none is."""
    allowed = list(allowed)
    lower = {name.lower(): name for name in reversed(allowed)}
    near = difflib.get_close_matches(word.lower(), list(lower), n=1)
    return [lower[one] for one in near]


def _parts(option: str) -> tuple[str, str]:
    """Splits `--algo.learning_rate` into ("algo", "learning-rate"); the first is empty for an option of the run."""
    lead, _, last = option.lstrip("-").replace("_", "-").lower().rpartition(".")
    return lead, last
