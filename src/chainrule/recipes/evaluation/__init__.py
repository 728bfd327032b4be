"""Baselines and measures of the recipes, which stand beside the trained system.

A module has one subject: n-gram counts, Parzen likelihood, BLEU, play in a tournament,
exact inference for comparison. What is the idea of a recipe itself stays in its file.
"""
