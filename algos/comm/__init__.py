"""Communication: what agents say to each other, what the medium does to it, and what is made of it.

From what a policy uses down to its parts:

    config.py        the options of communication and of the medium
    conversation.py  communication as a policy has it: who can be heard, the medium, and the talk
    talk.py          rounds of speaking and hearing, between the layers of a policy and its head
    methods.py       what a message is and how those heard are combined: mean, graph, attention
    mixing.py        weighted sums over what was heard: of whole matrices, of lists of links
    hearing.py       what was heard: the age of every message, and the messages of earlier steps
    reach.py         the agents that an agent can hear
    medium.py        the medium that loses, delays and ages messages, in steps
    curriculum.py    a medium that tightens while agents learn
    quantise.py      messages of few bits
    chance.py        random numbers of the medium, from a counter
    air.py           the medium between agents that act alone, by name
    statistics.py    what is said and heard, in numbers to watch
"""
