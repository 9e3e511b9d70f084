"""Keras functional networks: trunks, heads, and several heads on one trunk."""
