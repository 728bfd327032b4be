"""The page of an explanation: one file in which any number is clicked for its path."""

from chainrule.explanation.interactive.writing import page

__all__ = ["page"]
