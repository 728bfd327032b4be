"""Drawing functions that belong to one recipe, a module for each.

A drawing that several recipes or a user may need is in :mod:`chainrule.viz.gallery`.
"""
