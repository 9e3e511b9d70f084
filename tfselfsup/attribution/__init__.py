"""Saliency maps by SmoothGrad: which pixels a network's answer depends on.

`pixels` makes the part of a network that can be differentiated, `scores` says what of its output is
explained, `smoothgrad` computes the maps, `position_maps` those that are only drawn, `sanity` tells
whether they are worth looking at, and `overlays`, `figures` and `video` draw.
"""
