"""Roads and cars that several environments share: crossings, paths through them, and where these paths conflict.

    cars         the size of a car, and whether two cars overlap
    arcs         paths made of lines and arcs
    crossing     lanes, movements through a crossing, and conflicts between movements
    picture      what pictures of such roads have in common

`envs.intersection` and `envs.signals` lay out their networks over it. Nothing here knows an environment.
"""
