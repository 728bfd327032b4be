"""Worksheets of a whole class: made for it, collected from it, marked at once.

``students`` reads names, ``making`` draws a sheet for each of them and writes the
folder; ``collecting`` finds what came back, ``submission`` reads one file of it,
``marking`` marks all by the numbers of the teacher's key, ``slips`` counts what was
misunderstood, ``report`` and ``tables`` show it. ``exports`` writes an exercise for
nbgrader and for pytest.

A folder of a class:

- ``sheets.html``, ``sheets.tex``: all sheets, to be printed; ``sheets/``: a page each;
- ``forms/``: a file to fill in for each student, ``answers/``: where they come back;
- ``key/``: the exercise of each student with its answers, by which it is marked;
  ``key.html`` and ``key.tex``: the same for people;
- ``marks.html``, ``marks.csv``, ``marks/``: after the marking.
"""

from __future__ import annotations

from chainrule.book.classroom.exports import graded, to_nbgrader, to_pytest
from chainrule.book.classroom.making import Classroom, classroom
from chainrule.book.classroom.marking import mark_class
from chainrule.book.classroom.report import ClassReport

__all__ = [
    "ClassReport",
    "Classroom",
    "classroom",
    "graded",
    "mark_class",
    "to_nbgrader",
    "to_pytest",
]
