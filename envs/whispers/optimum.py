"""The best that can be done over a medium that loses, delays and limits messages, in closed form.

A source's symbol is a Markov chain that stays with probability rho and is otherwise drawn anew among V. So the newest
symbol that was heard holds all that is known, and naming it is right with probability

    P(age) = 1 / V + (1 - 1 / V) rho^age,

and 1 / V before anything was heard. A link loses the message of a step with probability p, independently, and delivers
it d steps later: the newest symbol that was heard is d + k steps old with probability (1 - p) p^k. In the long run

    E[rho^age] = rho^d sum_k (1 - p) p^k rho^k = rho^d (1 - p) / (1 - p rho).

In step t = 0, 1, ... of an episode only the messages of the first t - d + 1 steps can have been heard, so

    E[rho^age] = rho^d (1 - p) (1 - (p rho)^(t - d + 1)) / (1 - p rho)    for t >= d, else 0.

A message of b bits tells at most M = min(2^b, V) symbols apart. For rho = 0 a message is only worth something in its
own step, and a uniform symbol is then guessed with probability M / V at best. For rho > 0 and M < V there is no such
formula: messages of successive steps can complete each other.

This is the optimum of agents that each speak of what they see themselves. With losses, persistent symbols and more than
two agents, those that pass on what they heard can do better, because a message that was lost on the direct link may
come by another way.
"""

from __future__ import annotations

import math


def lasting(
    n_symbols: int, *, persistence: float = 0.0, loss: float = 0.0, delay: int = 0, bits: float = math.inf
) -> float:
    """Returns the best share of right names in the long run, once something has been heard.

    Args:
        n_symbols: V.
        persistence: rho, the chance that a symbol stays in a step.
        loss: p, the chance that a link loses a message, independently in each step.
        delay: d, from sending to hearing [steps]; with 0 a message is heard in the step in which it is sent.
        bits: Bits of a message; 0: silence.

    Raises:
        ValueError: A value is out of range, or bits are short and symbols persist, for which there is no formula.
    """
    share = _told(n_symbols, persistence, loss, delay, bits)
    if loss == 1.0:
        return 1 / n_symbols
    return 1 / n_symbols + share * persistence**delay * (1 - loss) / (1 - loss * persistence)


def in_step(
    step: int,
    n_symbols: int,
    *,
    persistence: float = 0.0,
    loss: float = 0.0,
    delay: int = 0,
    bits: float = math.inf,
) -> float:
    """Returns the best share of right names in one step of an episode, 0 the first; see `lasting`."""
    share = _told(n_symbols, persistence, loss, delay, bits)
    if loss == 1.0 or step < delay:
        return 1 / n_symbols
    heard = 1 - (loss * persistence) ** (step - delay + 1)  # less what was never heard
    return 1 / n_symbols + share * persistence**delay * (1 - loss) * heard / (1 - loss * persistence)


def over_episode(
    steps: int,
    n_symbols: int,
    *,
    persistence: float = 0.0,
    loss: float = 0.0,
    delay: int = 0,
    bits: float = math.inf,
) -> float:
    """Returns the best share of right names over an episode of that many steps, exactly; see `lasting`.

    The metric `share_right` at the end of an episode has this expectation.
    """
    share = _told(n_symbols, persistence, loss, delay, bits)
    count = max(steps - delay, 0)  # steps in which something can have been heard
    if loss == 1.0:
        return 1 / n_symbols
    fade = loss * persistence
    # The sum of 1 - fade^(k + 1) over k = 0 ... count - 1.
    heard = count - fade * (1 - fade**count) / (1 - fade)
    return 1 / n_symbols + share * persistence**delay * (1 - loss) * heard / ((1 - fade) * steps)


def _told(n_symbols: int, persistence: float, loss: float, delay: int, bits: float) -> float:
    """Returns (M - 1) / V: what a message that has just been sent adds to guessing; checks all values."""
    for name, value in (("persistence", persistence), ("loss", loss)):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name}={value!r} is out of range: give a value from 0 to 1")
    if n_symbols < 2 or delay < 0 or not bits >= 0:
        raise ValueError(
            f"n_symbols={n_symbols}, delay={delay}, bits={bits}: give at least 2 symbols, 0 steps and 0 bits"
        )
    apart = n_symbols if bits >= math.log2(n_symbols) else 2**bits
    if bits > 0 and apart < n_symbols and persistence > 0.0:
        raise ValueError(
            f"bits={bits} cannot tell {n_symbols} symbols apart, and with persistence={persistence} above 0 there is "
            f"no formula: give persistence=0 or at least {math.log2(n_symbols):.3g} bits"
        )
    return (math.floor(apart) - 1) / n_symbols
