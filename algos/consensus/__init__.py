"""Agreement without a server, in torch on dense matrices: for the parameters of learners and for small networks.

Nodes that hear only their neighbours come to agree on the mean of what each of them knows:

    from algos.consensus import averaged, metropolis                (installed: from coterie.algos.consensus)

    weight = metropolis(active)                      # (B, N, N), of the exchanges that take place in this round
    value = averaged(value, value, value, weight)    # (B, N, V)

    weights      Metropolis weights, and how fast they contract
    partners     who exchanges with whom in a round
    gossip       moves towards what others say; keeps the mean
    push_sum     reaches the mean over links that are one-way, lose and delay
    exchange     push-sum through the medium that agents talk through
    hierarchy    clusters gather at leaders, which agree and tell their clusters
    robust       stays within the honest values although some lie
    adaptive     says something only when it has moved
    liars        what liars say

Each rule is a function of tensors without state or chance of its own. `envs/consensus` holds the same rules for
environments and large sparse networks; tests compare the two. `docs/consensus.md` says which rule is for what.
"""

from .adaptive import Speaking, differing, first_speaking, speaks
from .exchange import Exchange
from .gossip import agree, averaged
from .hierarchy import NOBODY, Agreed, Clusters, elect, hierarchical
from .liars import LIES, overheard
from .partners import both_ways, calls, drawn, pairs
from .push_sum import PushSum, estimate, first_push_sum, newer, pushed, received
from .robust import check_tolerance, most_liars, trimmed
from .weights import contraction, metropolis

__all__ = [
    "LIES",
    "NOBODY",
    "Agreed",
    "Clusters",
    "Exchange",
    "PushSum",
    "Speaking",
    "agree",
    "averaged",
    "both_ways",
    "calls",
    "check_tolerance",
    "contraction",
    "differing",
    "drawn",
    "elect",
    "estimate",
    "first_push_sum",
    "first_speaking",
    "hierarchical",
    "metropolis",
    "most_liars",
    "newer",
    "overheard",
    "pairs",
    "pushed",
    "received",
    "speaks",
    "trimmed",
]
