"""Clinics: five sick networks of the book's kind, which a learner diagnoses first.

Each is a small program that trains badly. What it shows is told: losses, and what one
asks for (gradients, activations, weights, data, outputs, the program). After that come
the doctor's view, the change that cures it, and the cured run beside the sick one.

``chainrule explore clinic-1`` does one; :func:`run` returns it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chainrule.book.clinics.cases import CLINICS
from chainrule.book.clinics.clinic import (
    ASKS,
    CHOICES,
    Clinic,
    Visit,
    checked_answer,
    checked_ask,
    visited,
)
from chainrule.book.experiments.experiment import Setting
from chainrule.errors import ArgumentError, nearest
from chainrule.text import _
from chainrule.util import validation

__all__ = [
    "ASKS",
    "CHOICES",
    "Clinic",
    "Visit",
    "checked_answer",
    "checked_ask",
    "clinics",
    "find",
    "names",
    "run",
]


def names() -> list[str]:
    """Return the names of all clinics.

    >>> names()
    ['clinic-1', 'clinic-2', 'clinic-3', 'clinic-4', 'clinic-5']
    """
    return list(CLINICS)


def find(name: str) -> Clinic:
    """Return a clinic by name.

    Raises:
        ArgumentError: no clinic has that name; the nearest name is suggested.

    >>> find("clinic-2").sections
    ('2.6.2', '3.11')
    """
    clinic = CLINICS.get(name) if isinstance(name, str) else None
    if clinic is None:
        raise ArgumentError(
            _("There is no clinic {name}.", name=repr(name)),
            expected=", ".join(CLINICS),
            got=str(name),
            fix=_(
                "chainrule explore {near}",
                near=nearest(str(name), CLINICS) or next(iter(CLINICS)),
            ),
        )
    return clinic


def clinics() -> list[dict[str, Any]]:
    """Return each clinic's name, complaint and sections, without its answer.

    >>> clinics()[0]["sections"]
    ['3.8', '2.7']
    """
    return [clinic.outline() for clinic in CLINICS.values()]


def run(
    name: str, *, seed: int = 0, quick: bool = False, out: str | Path | None = None
) -> Visit:
    """Train a sick network, diagnose it, cure it, and return all of it.

    Args:
        name: one of :func:`names`.
        seed: of initial weights and shuffles.
        quick: with fewer digits.
        out: a folder for its picture and numbers; None writes nothing.

    Raises:
        ArgumentError: an unknown name, or no seed.
        SaveError: ``out`` cannot be written.

    >>> visit = run("clinic-2", quick=True)
    >>> visit.diagnosis.findings[0].code
    'learning-rate-too-large'
    """
    clinic = find(name)
    setting = Setting(validation.seed("seed", seed), validation.truth("quick", quick))
    visit = visited(clinic, setting)
    if out is not None:
        visit.save(out)
    return visit
