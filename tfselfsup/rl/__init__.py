"""Atari agents: environments, replay, agent, training and evaluation."""
