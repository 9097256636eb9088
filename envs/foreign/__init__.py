"""Environments that other people wrote, behind the contract that training uses.

    a name, options            `find` looks for the constructor, `modules` imports it, `hints` suggests what was meant
      -> ParallelEnv           `recipe` builds one; `parallel`: AEC converted, list-style Gymnasium, copies of a
                               single-agent one; `by_agent`: Gymnasium's with dicts by agent
      -> smaller pictures      `pictures`: SuperSuit reduces colours, resizes, scales and stacks images
      -> Layout                `look` builds one environment, `layout` reads from it what all of them have in common;
                               `spaces`, `rows` and `returns` refuse what does not fit, `blame` turns what the
                               environment raised into one line
      -> rows                  `world`: the dictionaries of one environment to rows of fixed shape; `endings`: endings
                               of agents and of the world; `copies`: the same for single-agent ones, without
                               dictionaries;
                               `refusals`: values that cannot be used; `news`: metrics that appear late, and lines for
                               the user
      -> Block                 `block`: the worlds of one process, with the work that is done for all of them at once
      -> Board                 `board`: the rows of all worlds, in memory that all processes share
      -> processes             `workers` starts and restarts them, `worker` runs in one, `protocol` has the messages of
                               the pipe between them, `orphans` ends the processes that would be left behind
      -> ForeignVector         `vector`: the `VectorEnv` of `algos.core`

Besides these, `own_spaces` describes as plain data how an environment's observations become rows and rows its actions,
for saved policies that play without this package; `as_rows` does the same for policies of the user's own.
`film` asks for pictures, and `closing` closes environments whatever their `close()` does.

Nothing here knows an environment by name, except a short list of those that report their time limit as death
(`layout.LIMIT_AS_DEATH`) and the names that messages may suggest (`modules.KNOWN`, `hints`).
"""
