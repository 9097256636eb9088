"""Learners with parameters of their own that learn from each other.

    config.py       the options, --peers.*
    council.py      watches the learners of a session, and lets them exchange parameters
    returns.py      how good each learner is, and how sure that is
    sharing.py      who takes whose parameters: UCB-guided sharing, population-based training
    trial.py        taken parameters on trial: who goes back to what it was, and whom it believes
    averaging.py    parameters that are averaged without a server, by a rule of consensus
    exchange.py     parameters that move from one learner to another, with all that belongs to them
    seac.py         who learns from whose experience
    permission.py   who may learn from whom
    lead.py         how much a learner is to learn from whom
    school.py       appoints the teachers of all learners, look by look
    tutor.py        what teachers would do on what a learner observes
    teacher.py      teachers from disk: policies of other runs, matched by the names of what they observe
    likeness.py     how much learners differ in what they do
    ledger.py       a record of every exchange

Learners are agents that share no parameters (`--algo.share none`): those of a team, or copies of one task.
"""
