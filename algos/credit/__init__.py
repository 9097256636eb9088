"""Credit: which part of what the team earns was each agent's doing.

    rules.py       the rules by name, and the rewards that each makes an agent learn from
    measures.py    how good a credit is: factoredness, learnability, correlation
    joint.py       a learned number of the joint action, and what an agent's own action changes in it: coma, learned

Shapley values and differences come from the environment itself, which can leave an agent out (`Step.counterfactual`).
"""
