"""Baselines and measures beside a recipe's system.

Examples are n-gram counts, Parzen likelihood, BLEU, tournament play, and exact
inference for comparison. What is the system's own idea stays in the recipe.
"""
