"""Drawings that belong to one recipe, a module for each recipe.

General drawings are in :mod:`chainrule.viz.gallery`.
"""
