"""Forged-face classifiers: features, probes, training end to end, calibration and evaluation."""
