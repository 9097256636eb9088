"""Runs every agent of a trained policy in a process of its own; all that passes between them are messages over sockets.

python train.py --env whispers --env.task whispers-4-slow --algo mappo --algo.comm attention --channel.loss 0.2
python examples/apart.py runs/NAME

The parent process holds the world and the air between the agents: it shows each agent its own observation, and carries
packets, some of which get lost, come late or do not reach far enough. The same world driven by the batched policy shows
that nothing else was needed: all actions are the same.
"""

import multiprocessing
import sys
from collections.abc import Mapping
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

import numpy as np

from coterie import envs
from coterie.algos import load_policy
from coterie.algos.comm.air import Message
from coterie.algos.training.alone import Packet
from coterie.algos.training.runfolder import read_config

KEY = b"agents of one team"
STEPS = 50


def live(folder: Path, agent: str, address: tuple[str, int]) -> None:
    """The life of one agent, in a process of its own: its connection is all it knows of the others."""
    policy = load_policy(folder)
    with Client(address, authkey=KEY) as air:

        def exchange(packet: Packet | None) -> Mapping[str, Message]:
            air.send(packet)
            return air.recv()

        air.send(agent)
        while (seen := air.recv()) is not None:
            observation, action_mask = seen
            air.send(policy.act_one(agent, observation, action_mask, exchange=exchange))


def main(folder: Path) -> None:
    """Plays an episode with agents apart, beside the same policy in one batch."""
    trained_on = read_config(folder).env
    env = envs.parallel_env(trained_on.name, trained_on.task, **trained_on.options)
    policy = load_policy(folder)
    policy.reset()
    air = policy.air()
    with Listener(("127.0.0.1", 0), authkey=KEY) as listener:
        context = multiprocessing.get_context("spawn")
        agents = [
            context.Process(target=live, args=(folder, agent, listener.address), daemon=True) for agent in policy.agents
        ]
        for process in agents:
            process.start()
        connections: dict[str, Connection] = {}
        for _ in policy.agents:
            connection = listener.accept()
            connections[connection.recv()] = connection

        observations, infos = env.reset(seed=1)
        acted, furthest, packets = 0, 0.0, 0
        for _ in range(STEPS):
            if not env.agents:
                break
            there = list(env.agents)
            for agent in there:
                mask = infos[agent].get("action_mask")
                connections[agent].send((observations[agent], mask))
            for number in range(air.rounds):
                said = {agent: connections[agent].recv() for agent in there}
                said = {agent: packet for agent, packet in said.items() if packet is not None}
                neighbors = {agent: infos[agent]["neighbors"] for agent in there}
                places = {agent: policy.position(agent, observations[agent]) for agent in there if air.measures}
                brought = air.round(number, said) if number else air.step(neighbors, said, places)
                for agent in there:
                    packets += len(brought.get(agent, {}))
                    connections[agent].send(brought.get(agent, {}))
            actions = {agent: connections[agent].recv() for agent in there}
            batched = policy.act({agent: observations[agent] for agent in there}, infos)
            for agent in there:
                acted += 1
                furthest = max(furthest, float(np.abs(np.subtract(actions[agent], batched[agent])).max()))
            observations, _, _, _, infos = env.step(actions)
        for connection in connections.values():
            connection.send(None)
        for process in agents:
            process.join()
    print(f"{len(agents)} processes, {packets:,} packets arrived")
    print(f"{acted:,} actions differ from those of the batched policy by at most {furthest:.1e}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
