"""Data of the recipes: corpora, first names, scores, recordings.

A module reads one collection and cleans it, or generates it by rule. It knows no
network, no training, and nothing of a recipe's results.
"""
