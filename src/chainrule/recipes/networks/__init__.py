"""The networks of recipes, each with a batch and its loss, to be explained.

inspection    a run of a recipe in which nothing is trained
declared      the networks by recipe and name, and recipes without any

The other files declare the networks, a function each, by functions of the lessons. What
is not declared twice: layers, data and losses are those of the lesson.
"""

from chainrule.recipes.networks import agents, digits, images, sequences, tables
from chainrule.recipes.networks import textbook as textbook
from chainrule.recipes.networks.declared import (
    WITHOUT,
    inspected,
    networks_of,
    pictured,
)
from chainrule.recipes.networks.inspection import Inspection, Subject

__all__ = [
    "WITHOUT",
    "Inspection",
    "Subject",
    "agents",
    "digits",
    "images",
    "inspected",
    "networks_of",
    "pictured",
    "sequences",
    "tables",
    "textbook",
]
