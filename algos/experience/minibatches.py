"""Minibatches of a rollout.

Axes: T time, B worlds, N agents, S global state; M samples of single agents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from ..maths.live import between_agents, live_first, of_agents
from .heard import unpacked


class Minibatches:
    """The fields of a rollout, divided into units from which minibatches are made.

    A unit is one step of one world, or all steps of one world where networks are recurrent.

    Attributes:
        n_units: T * B, or B for whole sequences.
    """

    def __init__(self, fields: Mapping[str, Tensor], alive: Tensor, *, sequences: bool) -> None:
        """Lays the fields out.

        Args:
            fields: (T, B, ...) each.
            alive: (T, B, N) bool.
            sequences: Whether a unit is all steps of one world.
        """
        steps, n_worlds, self._n_agents = alive.shape
        self._axis = 1 if sequences else 0
        self.n_units = n_worlds if sequences else steps * n_worlds
        self._fields = dict(fields) if sequences else {name: field.flatten(0, 1) for name, field in fields.items()}
        self._alive = alive.flatten(0, 1)  # (T * B, N)
        self._some_dead = not sequences and not bool(self._alive.all())

    def take(
        self, names: Iterable[str], units: Tensor, *, agent_blind: bool, gathers: bool = False
    ) -> dict[str, Tensor]:
        """Returns a minibatch.

        Where agents are absent, a network that is `agent_blind` gets only the samples of agents that are alive, as M
        rows with one agent each: fields of agents are (M, 1, ...). Their `state` is still that of the units, (R, S),
        and `unit` (M,) says which of them a row belongs to. Where agents come and go most samples are of absent agents,
        and most of the work is saved. One whose agents
        hear each other may get worlds from which absent agents are left out, (R, L, ...) for fields of agents and
        (R, L, L) for `heard`.

        Args:
            names: The fields to take; missing ones are left out.
            units: (R,) indices into the units.
            agent_blind: Whether the network may get the samples of single agents.
            gathers: Whether absent agents may be left out of worlds; then all fields must be of agents.

        Returns:
            By name (R, ...), or (T, R, ...) for whole sequences, or (M, ...).
        """
        there = {*self._fields, *(("heard",) if "heard_bits" in self._fields else ())}
        names = [name for name in names if name in there]
        if not ((agent_blind or gathers) and self._some_dead):
            return {name: self._taken(name, units) for name in names}
        if gathers:
            index = live_first(self._alive.index_select(0, units))  # (R, L)
            taken = {name: self._taken(name, units) for name in names}
            return {
                name: between_agents(field, index) if name == "heard" else of_agents(field, index)
                for name, field in taken.items()
            }
        unit, agent = self._alive.index_select(0, units).nonzero(as_tuple=True)  # (M,) each
        sample = units[unit] * self._n_agents + agent  # (M,) into (T * B * N)
        taken = {
            name: self._taken(name, units)
            if name == "state"
            else self._fields[name].flatten(0, 1).index_select(0, sample).unsqueeze(1)
            for name in names
        }
        return {**taken, "unit": unit}

    def _taken(self, name: str, units: Tensor) -> Tensor:
        if name in self._fields:
            return self._fields[name].index_select(self._axis, units)
        return unpacked(self._fields["heard_bits"].index_select(self._axis, units))
