"""Baselines and measures beside the recipes' systems, which stand elsewhere.

N-gram counts, Parzen likelihood, BLEU, tournament play, exact inference for comparison.
"""
