"""Whispers: each agent has to name a symbol that only another one sees. They can do it only by talking.

| property      | value                                                                                     |
|---------------|-------------------------------------------------------------------------------------------|
| import        | `from envs import whispers` (clone), `from coterie.envs import whispers` (installed)      |
| PettingZoo    | `pettingzoo.make("parallel", "coterie/whispers_v0", n_agents=4)`, also `"aec"`            |
| agents        | `agent_0` ...; `listener`: `speaker_0` ... `listener_0` ...; N = `n_agents`, 2 to 64      |
| actions       | `Discrete(V)`: a symbol; V = `n_symbols`                                                  |
| observations  | `Box(0, 1, (2 N + V,))`                                                                   |
| state         | `Box(0, 1, (N (V + N),))`                                                                 |
| control step  | 0.5 s, for films; the time limit is `max_steps` (50)                                      |
| agents die    | never                                                                                     |

**The game.** Every agent holds a symbol. In every step each symbol is drawn anew with probability 1 - `persistence`,
uniformly among all V, so that it may come out the same. Every agent has a source: another agent, whose symbol of this
very step it has to name. It knows who its source is and does not see what that one holds. With a persistence of 0 what
was heard earlier is worthless; the nearer it is to 1, the longer an old message is worth something.

- `game="reference"` (default): all agents speak and listen. The sources are a random permutation in which nobody is its
  own source (a derangement, uniform among all).
- `game="listener"`: N / 2 pairs. The first N / 2 agents are speakers; they see their symbols and have nothing to name.
  Their actions have no effect, and each earns what its listener does. The others are listeners; they see only who their
  source is, a random speaker, each another one.

Sources are drawn at reset. They stay for the episode, unless `source_persistence` is below 1: then all are drawn anew
in a step with the remaining probability.

**Talking.** The environment has no channel of its own: actions are names, and nobody observes them. Messages are what
an algorithm's communication or `envs.channel` adds. All agents can hear each other (`adjacency`).

**Observation**, per agent, zeros and ones:

| index          | meaning                                                                                 |
|----------------|-----------------------------------------------------------------------------------------|
| 0 ...          | its own index, one of N                                                                 |
| N ...          | its own symbol, one of V; zeros for a pure listener                                     |
| N + V ...      | index of its source, one of N; zeros for a pure speaker                                 |

**State** for centralised critics: for each agent its symbol, one of V, and the index of its source, one of N, with
zeros as above.

**Reward** of an agent: 1 if it named the symbol that its source held in the observation it acted on, else 0. The team
reward G is the mean over agents. **Cost**: none.

**Metrics**, over the episode so far: `share_right` of the names, mean over agents and steps; `share_right_now`, in the
last step. Before the first step both are undefined: NaN, shown as "-" in tables, and left out of means.

**The optimum** is known: 1 / V without messages, 1 with perfect ones, and for messages that are lost, late or short it
stands in `optimum`, in the long run and exactly for an episode:

    1 / V + (1 - 1 / V) rho^d (1 - p) / (1 - p rho)     for persistence rho, loss p and delay d

**Tasks**: `whispers-4` (default), and `whispers-4-slow`, in which symbols persist with 0.9: four agents, four symbols.

**Policy to beat**: full information. It names the right symbol always.

**Arguments** are the fields of `Config`, documented there.

**Sources.** Signalling games: Lewis (1969), "Convention". One speaker and one listener with landmarks in place of
symbols: `simple_speaker_listener` and `simple_reference` of Lowe et al. (2017), "Multi-agent actor-critic for mixed
cooperative-competitive environments". The switch riddle of Foerster et al. (2016), "Learning to communicate with deep
multi-agent reinforcement learning", is a relative. Here the source changes from episode to episode, so a listener must
also find out whom to listen to.

**Versions.** 0: first.
"""

from functools import partial

from .. import aec_env, parallel_env
from .config import DEFAULT_TASK, TASKS, Config
from .env import VERSION, Whispers
from .heuristic import heuristic

__all__ = [
    "DEFAULT_TASK",
    "TASKS",
    "VERSION",
    "Config",
    "Whispers",
    "build",
    "env",
    "heuristic",
    "parallel_env",
    "raw_env",
]


def build(config: Config) -> Whispers:
    """Builds the environment of a configuration."""
    return Whispers(config)


parallel_env = partial(parallel_env, "whispers")
env = raw_env = partial(aec_env, "whispers")
