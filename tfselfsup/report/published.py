"""The figures the study published: Agarwal, Sinha and Ayush, "Is Self-Supervision Helpful?" (2019).

Human and record scores are those the study quotes for comparison.
"""

# Mean score over 100 episodes, by game and agent; the study's second table. The learning agents are
# single runs of 1,000,000 agent steps, scored on training episodes.
AGENT_SCORES: dict[str, dict[str, float]] = {
    "pong": {
        "random": -21.0,
        "dqn": 20.0,
        "human": -3.0,
        "world record": 21.0,
        "rotation": -20.1,
        "sequence": 18.2,
    },
    "breakout": {
        "random": 1.25,
        "dqn": 9.9,
        "human": 30.5,
        "world record": 864.0,
        "rotation": 7.6,
        "sequence": 14.9,
    },
}
