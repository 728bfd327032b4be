"""Baselines and measures to compare the recipes' trained networks with.

A module has one subject: n-gram counts, Parzen likelihood, BLEU, play in a tournament,
exact inference for comparison. What is the idea of a recipe itself stays in its file.
"""
