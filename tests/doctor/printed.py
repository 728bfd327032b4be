"""What changes print as code: whether Python takes it, and makes what it names."""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.doctor import Change
from chainrule.text import translated
from chainrule.training import EarlyStopping

#: What a line begins with that says what stands at a path, or in a group.
PLACE = re.compile(r'([\w.]+|optimizer\.param_groups\[\d+\]\["\w+"\]): (.*)')
#: The beginning of arguments, such as those of ``fit``.
ARGUMENTS = re.compile(r"\w+=[^=]")


def lines_of(text: str) -> list[str]:
    """Return the lines of code of a text: without prose, which stands after ``#``."""
    told = translated(text).splitlines()
    return [line for line in told if not line.startswith("# ")]


def code_of(line: str) -> str:
    """Return what Python reads of a line: what stands at a place, arguments as a call.

    Arguments are those of a call: ``lr=1,000`` is none, and would be a tuple elsewhere.
    """
    if line.startswith("for "):
        return line
    if (place := PLACE.fullmatch(line)) is not None:
        line = place[2]
    return f"dict({line}\n)" if ARGUMENTS.match(line) else line


def unreadable(change: Change) -> list[str]:
    """Return the lines of a change that are neither code nor marked as prose."""
    found: list[str] = []
    for line in (*lines_of(change.before), *lines_of(change.after)):
        try:
            ast.parse(code_of(line))
        except SyntaxError:
            found.append(line)
    return found


def run(setup: Any, change: Change, **names: Any) -> dict[str, Any]:
    """Run what a change puts in place, line by line, on a copy; return the names.

    Raises:
        Exception: what it names cannot be made.
    """
    copy = setup.copy()
    known = {
        "nn": nn,
        "optim": optim,
        "np": np,
        "cr": cr,
        "model": copy.model,
        "train": setup.train,
        "validation": setup.held_out,
        "x": np.asarray(setup.train.x[:]),
        "y": np.asarray(setup.train.y),
        "confirmed": np.arange(2),
        "EarlyStopping": EarlyStopping,
        getattr(setup.loss, "__name__", "loss"): setup.loss,
        **names,
    }
    for line in lines_of(change.after):
        exec(code_of(line), known)
    return known
