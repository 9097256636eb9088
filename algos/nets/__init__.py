"""The networks' parts: layers, actor, critics, normalisers, optimiser."""
