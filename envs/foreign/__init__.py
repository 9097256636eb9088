"""Environments that others wrote, behind the contract that training knows.

    a name, options            `find` looks for the constructor, `modules` imports it, `hints` says what was meant
      -> ParallelEnv           `parallel`: AEC converted, list-style Gymnasium, copies of a single-agent one;
                               `by_agent`: Gymnasium's with dicts by agent
      -> smaller pictures      `pictures`: SuperSuit reduces colours, resizes, scales and stacks what is an image
      -> Layout                `layout`: one environment is built and asked once what all of them show; `spaces`,
                                `rows` and `returns` refuse what does not fit, `blame` says in a line what it raised
      -> rows                  `world`: dictionaries of one environment to rows of fixed shape, ends told apart;
                               `copies`: the same for single-agent ones, without dictionaries; `refusals`: what cannot
                               be used; `tellings`: metrics that come late, and what the user is to be told once
      -> Block                 `block`: the worlds of one process, with what is done for all of them at once
      -> Board                 `board`: the rows of all worlds, in memory that all processes share
      -> processes             `workers` starts and restarts them, `worker` is what runs in one, `protocol` what goes
                               over the pipe between them, `orphans` sees to it that nothing is left behind
      -> ForeignVector         `vector`: the `VectorEnv` of `algos.core`

Beside these, `own_spaces` says as plain data what stands between rows and what an environment shows and takes, for
policies that are to play without this package; `as_rows` does the same for policies of one's own.
`film` asks for pictures, `closing` closes what does not want to be closed.

Nothing here knows an environment by name, except a short list of those that report their time limit as death
(`layout.LIMIT_AS_DEATH`) and the names that messages may suggest (`modules.KNOWN`, `hints`).
"""
