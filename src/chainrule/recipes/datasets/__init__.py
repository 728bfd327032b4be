"""Reading and cleaning of a recipe's data: corpora, first names, scores, recordings.

A module here knows one kind of data and no network. Baselines and measures are in
:mod:`chainrule.recipes.evaluation`.
"""
