"""The texts that the script of an explanation's page shows, in the language in use."""

from __future__ import annotations

from chainrule.text import tr


def words() -> dict[str, str]:
    """Return the texts of the page's script by key; ``{…}`` are filled in there."""
    return {
        "from": tr("Forward: what it is computed from"),
        "chain": tr("Backward: the chain rule, from ℒ to it"),
        "given": tr("It is given."),
        "still": tr("Its derivatives by what it is computed from are 0 here."),
        "name": tr("In the state_dict: {name}"),
        "whole": tr("A whole number: nothing is differentiated by it."),
        "nothing": tr("Every derivative on the way to ℒ is 0 here: {formula}"),
        "beside": tr("ℒ of this step is not computed from it."),
        "unread": tr("Nothing on the way to ℒ reads it."),
        "loss": tr("where the chain rule starts"),
        "direct": tr("what ℒ has of it directly"),
        "more": tr("{many} more"),
        "left": tr(
            "Some links of this number are left out of the page, which would be too"
            " large. In Python: {call}"
        ),
        "said": tr("{name} = {value}. It is computed from {many} numbers."),
        "said_given": tr("{name} = {value}. It is given."),
        "said_still": tr(
            "{name} = {value}. Its derivatives by what it is computed from are 0 here."
        ),
        "said_slope": tr("{slope} = {value}, the sum of {many} products."),
        "close": tr("Close the path"),
        "closed": tr("The path is closed."),
        "sample": tr("Sample {s} of {n}"),
        "row": tr("from row"),
        "column": tr("from column"),
        "axis": tr("axis {axis}"),
        "step": tr("{direction}, {k} of {n}"),
        "forward": tr("forward"),
        "backward": tr("backward"),
        "update": tr("update"),
    }
