"""Agreement without a server, in numpy and numba on neighbour lists: for environments and for large sparse networks.

Nodes that hear only their neighbours come to agree on the mean of what each of them knows:

    from envs.consensus import averaged, lists_of                       (installed: from coterie.envs.consensus)

    neighbor = lists_of(adjacency)                   # (B, N, D) from (B, N, N)
    active = neighbor >= 0                           # all exchanges take place in this round
    heard = heard_of(neighbor, value)                # (B, N, D, V): what neighbours say
    value = averaged(neighbor, active, heard, own_said=value, value=value)

    lists        neighbour lists from adjacency matrices, and the other way
    chance       random numbers from a counter
    weights      Metropolis weights, and how fast they contract
    partners     who exchanges with whom in a round
    gossip       moves towards what neighbours say; keeps the mean
    push_sum     reaches the mean over links that are one-way, lose and delay
    hierarchy    clusters gather at leaders, which agree and tell their clusters
    tree         leaders of leaders up to the top: the exact mean in one sweep up and down
    robust       stays within the honest values although some lie
    adaptive     says something only when it has moved
    liars        what liars say

Each rule is a function of arrays without state of its own, and its loops are kernels that others' kernels may call.
`algos/consensus` holds the same rules but for trees in torch on dense matrices; tests compare the two.
`docs/consensus.md` says which rule is for what.
"""

from .adaptive import Speaking, differing, first_speaking, speaks
from .gossip import agree, averaged
from .hierarchy import Agreed, Clusters, elect, hierarchical
from .liars import LIES, overheard
from .lists import NOBODY, back_of, dense_of, heard_of, lists_of, slots_of
from .partners import calls, pairs
from .push_sum import PushSum, estimate, first_push_sum, pushed, received
from .robust import check_tolerance, most_liars, trimmed
from .tree import Tree, grow, swept
from .weights import contraction, metropolis

__all__ = [
    "LIES",
    "NOBODY",
    "Agreed",
    "Clusters",
    "PushSum",
    "Speaking",
    "Tree",
    "agree",
    "averaged",
    "back_of",
    "calls",
    "check_tolerance",
    "contraction",
    "dense_of",
    "differing",
    "elect",
    "estimate",
    "first_push_sum",
    "first_speaking",
    "grow",
    "heard_of",
    "hierarchical",
    "lists_of",
    "metropolis",
    "most_liars",
    "overheard",
    "pairs",
    "pushed",
    "received",
    "slots_of",
    "speaks",
    "swept",
    "trimmed",
]
