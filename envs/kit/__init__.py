"""The tools that environments are made with.

    kernels            compiled loops over arrays, cached on disk
    seeding            random numbers for many worlds at once
    fields             checks of the fields of a `Config`
    actions            checks of actions
    counterfactual     the team's reward had one agent done its default action, for all agents at once
    shapley            what each agent's presence is worth, on average over the coalitions that it may join
    paint              pictures without a screen

Nothing here knows an environment.
"""
