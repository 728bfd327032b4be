"""The registry of symptoms: one file each in :mod:`chainrule.doctor.symptoms`.

A file declares its symptom by :func:`symptom`, and a sick and a healthy example, which
are its tests::

    @symptom("dead-units", "activation", stage=4, looks=…, why=…, fix=…, reference=…)
    def dead_units(case):
        ...
        return Found("sick", where="2", evidence={…}, change=change)

    @dead_units.sick
    def sick_example():
        return example(nn.Sequential(…), lr=10.0)

Findings, ``chainrule doctor --list`` and the tests follow from it.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chainrule.doctor.case import Case
from chainrule.doctor.finding import (
    COMPONENTS,
    Change,
    Comparison,
    Finding,
)
from chainrule.text import _, joined, translated

#: What an example is: a Trainer, data, and further arguments of ``diagnose``.
Example = Callable[[], tuple[Any, Any, dict[str, Any]]]
#: How sure a finding is: a change was tried and helped much, or some; or was not tried.
CURED, HELPED, UNTRIED = 0.9, 0.6, 0.4


@dataclass(frozen=True)
class Found:
    """The result of a symptom's rule: severity and evidence.

    Attributes:
        severity: sick, risk or note.
        where, evidence, change, comparison, curves: as of a :class:`Finding`.
        confidence: None: by the comparison.
        cause, advice: instead of the symptom's own.
        component: instead of the symptom's own.
    """

    severity: str
    where: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    change: Change | None = None
    comparison: Comparison | None = None
    confidence: float | None = None
    cause: str | None = None
    advice: str | None = None
    component: str | None = None
    curves: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class Symptom:
    """A symptom: its rule and what people read about it.

    Attributes:
        code: its stable name.
        component: what is wrong.
        stage: symptoms are looked for in this order: data 0, configuration 1, initial
            weights 2, rates 3, the run 4, what no other explains 9.
        looks, why, fix: how it shows, its cause, what helps; for readers.
        reference: the section of the book, or the paper.
        explains: codes of symptoms that are its consequences.
        rule: finds it in a case.
        sick, healthy: its examples.
    """

    code: str
    component: str
    stage: int
    looks: str
    why: str
    fix: str
    reference: str
    explains: tuple[str, ...]
    rule: Callable[[Case], Found | None]
    sick_example: Example | None = None
    healthy_example: Example | None = None

    def sick(self, example: Example) -> Example:
        """Declare an example in which the symptom must be found."""
        self.sick_example = example
        return example

    def healthy(self, example: Example) -> Example:
        """Declare an example in which nothing sick may be found."""
        self.healthy_example = example
        return example

    def look(self, case: Case) -> Finding | None:
        """Return the finding of this symptom in a case, or None."""
        found = self.rule(case)
        if found is None:
            return None
        evidence = dict(found.evidence)
        confidence = found.confidence
        if found.comparison is not None:
            evidence |= found.comparison.evidence()
        if confidence is None:
            confidence = UNTRIED
            if found.comparison is not None:
                confidence = CURED if found.severity == "sick" else HELPED
        change = found.change
        if change is None and found.comparison is not None:
            change = found.comparison.change
        return Finding(
            self.code,
            found.component or self.component,
            found.severity,
            placed(case, found.where),
            evidence,
            found.cause or self.why,
            found.advice or self.fix,
            change,
            found.comparison,
            confidence,
            self.reference,
            None,
            found.curves,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what people read of the symptom as data for JSON."""
        return {
            "code": self.code,
            "component": self.component,
            "looks": translated(self.looks),
            "cause": translated(self.why),
            "fix": translated(self.fix),
            "reference": translated(self.reference),
            "explains": list(self.explains),
        }


def placed(case: Case, where: str) -> str:
    """Return where something is in words, where it is modules or parameters by name."""
    if not where or case.refused is not None:
        return where
    model = case.setup.model
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    names = where.split(", ")
    if not all(name in modules or name in parameters for name in names):
        return where
    parts = [
        _(
            "module '{path}' ({kind})",
            path=name,
            kind=repr(modules[name]).partition("(")[0],
        )
        if name in modules
        else _("parameter '{name}'", name=name)
        for name in names
    ]
    return joined(", ", parts)


_SYMPTOMS: dict[str, Symptom] = {}


def symptom(
    code: str,
    component: str,
    *,
    stage: int,
    looks: str,
    why: str,
    fix: str,
    reference: str,
    explains: tuple[str, ...] = (),
) -> Callable[[Callable[[Case], Found | None]], Symptom]:
    """Declare a symptom by its rule; see :class:`Symptom` for the arguments."""
    assert component in COMPONENTS
    assert code not in _SYMPTOMS

    def declare(rule: Callable[[Case], Found | None]) -> Symptom:
        made = Symptom(
            code, component, stage, looks, why, fix, reference, explains, rule
        )
        _SYMPTOMS[code] = made
        return made

    return declare


@functools.cache
def registered() -> tuple[Symptom, ...]:
    """Return all symptoms, in the order in which they are looked for."""
    package = importlib.import_module("chainrule.doctor.symptoms")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return tuple(sorted(_SYMPTOMS.values(), key=lambda s: (s.stage, s.code)))
