"""A channel for anybody's environment: messages ride in actions and arrive in observations, as a medium delivers them.

    from envs.channel import Channel                              (installed: from coterie.envs.channel)

    env = Channel(simple_spread_v3.parallel_env(), entries=4, bits=2, loss=0.2, delay=(0, 2))
    observations, infos = env.reset(seed=0)
    actions = {agent: {"action": 1, "message": np.zeros(4, np.float32)} for agent in env.agents}
    observations, rewards, terminations, truncations, infos = env.step(actions)
    observations["agent_0"]["heard"]       # (N - 1, 4) what the others said last, as far as it arrived

It wraps any PettingZoo `ParallelEnv` with `possible_agents`, and is one itself, so that conversions and other wrappers
apply. N is the number of possible agents, E the number of `entries` of a message.

**Spaces** of each agent; `flat=True` turns each into one `Box`, for learners that take nothing else (see `layout`):

| space       | key           | value                                                                               |
|-------------|---------------|-------------------------------------------------------------------------------------|
| action      | `action`      | the environment's own                                                               |
|             | `message`     | `Box(-1, 1, (E,))`, told to all others at once                                      |
| observation | `observation` | the environment's own                                                               |
|             | `heard`       | `Box(-1, 1, (N - 1, E))`: a row for each of `possible_agents` but the agent itself, |
|             |               | in that order: the newest message of that one that has arrived; zeros without one   |
|             | `age`         | `Box(0, A, (N - 1,))`: how old that is [steps]; A without one, which is             |
|             |               | `memory` + the longest delay + 1                                                    |

**Time.** A message that is sent with the actions of step t and delayed by d steps is heard in the observation that step
t + d returns, at age d, and never earlier. So with a delay of 0 it is heard in the next observation, which is the first
that can depend on it: within PettingZoo nobody hears anything within the step in which it is said, so a delay of d here
is one of d + 1 where agents exchange messages before they act. Whether a message is lost, in range and not cut off by a
partition is decided when it is sent. One that is under way arrives.

**The medium**, in the order in which it acts on a message:

- `bits`: each entry is rounded to the nearest of 2^`bits` levels that divide [-1, 1] equally, both ends among them; 0
  leaves it as it is.
- `range`: agents farther apart than this do not reach each other; 0 or infinity: all do. `positions(env)` must return
  {agent: (x, y)}; it is asked once before each step. An agent that is not in it is out of range.
- `partition`: (start, end, groups) each: from step `start` until before step `end`, agents of different groups do not
  reach each other. Agents in no group make one more. When it is over they hear each other again, and nothing else is
  needed.
- `loss`: chance that a directed link loses the message of a step, independent between links. `burst` is the mean length
  of a spell of losses [steps], by the chain of Gilbert (1960) and Elliott (1963) with a good state that loses nothing
  and a bad one that loses all: P(bad -> good) = 1 / `burst`, P(good -> bad) = `loss` / ((1 - `loss`) `burst`), started
  in its stationary distribution. 0 means that successive losses are independent, which is the chain with a `burst` of
  1 / (1 - `loss`), the least that there is.
- `delay`: steps, or (least, most): then each message on each link draws its own, uniformly. Of two messages the one
  that was sent later counts, even if it came first.
- `memory`: a lost message is replaced by the last one heard, which is forgotten this many steps after it arrived.
- `decay`: what is heard is multiplied by `decay`^age; 1 leaves it as it is.

Policies that Coterie trains talk through the like of it within the algorithm (`--channel.*`);
`docs/communication.md` says what differs.

**Agents.** One that is not in `env.agents` before a step says nothing and hears nothing in it. What it said before
stays heard until it is forgotten. An agent that is born late has not heard what was said before.

**Chance** comes from one generator, a child of the `SeedSequence` of the seed of `reset`: equal seeds and equal actions
give equal bytes. Which messages get through depends on the seed alone, not on what is said. `reset()` without a seed
goes on from the last seed given, or from the operating system's entropy.

**Infos** of each agent get an entry `channel`: `delivered`, share of the messages that others sent in this step, and
that reach it now or later; `mean_age` of what it hears [steps]; `bits_sent` by it in this step, once for the broadcast:
E times `bits`, or 32 E without rounding. The first two are NaN where nothing was sent or is heard.

The maths of the medium stand in `maths` as functions of arrays without state, to be compared with other
implementations on the same random numbers.
"""

from .medium import Settings
from .wrapper import Channel

__all__ = ["Channel", "Settings"]
