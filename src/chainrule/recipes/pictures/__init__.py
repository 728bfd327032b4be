"""Drawings that belong to one recipe or two; :mod:`chainrule.viz.gallery` has the rest.

Each draws into a figure of matplotlib, for :meth:`Experiment.draw`.
"""
