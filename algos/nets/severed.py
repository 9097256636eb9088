"""How much messages decide: a policy beside itself with every message taken away."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..comm.hearing import Hearing
from ..comm.statistics import attention_entropy
from ..core import NOTHING
from .actor import Actor
from .recurrent import Recurrence


class Rows(NamedTuple):
    """Some steps of experience, R of them or (T, B); after them, if messages of earlier steps are told, those steps."""

    obs: Tensor  # (..., N, O) as networks read them
    recurrence: Recurrence | None
    hearing: Hearing
    action_mask: Tensor | None  # (..., N, A)
    alive: Tensor  # (..., N) bool


@torch.no_grad()
def severed(policy: Actor, rows: Rows) -> dict[str, Tensor]:
    """Returns what messages do to actions, () each.

    Returns:
        `influence`: divergence of the actions' distribution from that without messages, of a live agent [nats];
        `attention_entropy` of the first round [nats].
    """
    deaf = rows.hearing._replace(age=torch.full_like(rows.hearing.age, NOTHING))
    out = policy(rows.obs, rows.recurrence, rows.hearing, normalized=True, keep_weights=True)
    without = policy(rows.obs, rows.recurrence, deaf, normalized=True)
    steps = len(rows.alive)
    apart = policy.divergence(out.head[:steps], without.head[:steps], rows.action_mask)  # (..., N)
    assert out.talked is not None
    weights = out.talked.weights[0][:steps].flatten(0, -4)  # (R, H, N, N)
    influence = apart[rows.alive].mean() if bool(rows.alive.any()) else apart.new_zeros(())
    return {"influence": influence, "attention_entropy": attention_entropy(weights, rows.alive.flatten(0, -2))}
