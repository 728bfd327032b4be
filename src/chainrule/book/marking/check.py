"""The entry point of marking hand-computed training steps: ``cr.check_work``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from chainrule import nn
from chainrule.book.derivation.formulas import (
    Formulas,
    known_quantities,
    split,
)
from chainrule.book.derivation.keys import key_of, keys
from chainrule.book.derivation.network import network_of
from chainrule.book.derivation.numbers import array_of, parameters
from chainrule.book.derivation.numbers import samples as fitted_samples
from chainrule.book.derivation.objectives import objective_of
from chainrule.book.marking.marks import (
    CONSEQUENCE,
    RIGHT,
    Mark,
    Sheet,
    exact_ways,
    marked,
)
from chainrule.book.marking.report import WorkReport
from chainrule.book.marking.rounding import Numbers
from chainrule.book.marking.shapes import COLUMNS, ROWS, fit, to_decimals
from chainrule.book.marking.steps import Step, rate_of, step_of
from chainrule.book.marking.written import (
    Written,
    coarsest_of,
    decimals_of,
    digits_of,
    read,
)
from chainrule.errors import ArgumentError
from chainrule.notation.expressions import Array
from chainrule.optim import SGD, RuleOptimizer
from chainrule.text import _, ngettext
from chainrule.text.catalogue import current
from chainrule.text.languages import language


def check_work(
    model: nn.Module,
    x: Any,
    y: Any,
    loss: Any,
    answers: Mapping[str, Any],
    optimizer: RuleOptimizer | None = None,
    *,
    lr: float | None = None,
    samples: str | None = None,
    lang: str | None = None,
) -> WorkReport:
    """Mark a student's hand-computed numbers for one training step of a network.

    Each answer is *right*, *right from an earlier wrong one* (a consequence), *wrong*,
    or *open*: of too few digits to tell. For a wrong one the likely slip is named: each
    formula that one of twenty misconceptions leads to (a bias or f′ missing, W for Wᵀ,
    a sum for a mean, the step uphill, Adam's bias correction missing, …) is worked out
    from the student's own earlier numbers, and compared.

    Args:
        model: an ``nn.Sequential`` of ``nn.Linear`` and activations.
        x: one sample, or several: rows; or columns, where only those fit.
        y: the truth of each sample.
        loss: a name that :func:`chainrule.derive` takes, or a loss of ``chainrule.nn``.
        answers: numbers by the book's names: ``z1``, ``a1``, …, ``L``, ``delta1``,
            ``dW1``, ``db1``, and ``W1``, ``b1`` after the update; of an optimiser its
            moments too, ``mW1``, ``vb2``, and Adam's ``mhatW1``. Other spellings are
            known: ``"δ⁽²⁾"``, ``"z^(1)"``, ``"dL/dW1"``, ``"2.weight.grad"``. Numbers,
            or texts of numbers (``"0.7310"`` counts to four digits). ``""``, ``"?"``
            and None are left out. Not all quantities have to be given.
        optimizer: whose step it is: ``optim.SGD``, with momentum, Nesterov's and weight
            decay, ``Adagrad``, ``RMSprop``, ``Adam`` or ``AdamW``. One that has made
            steps of this model goes on from its moments. It is not changed. A velocity
            may have η in it (v ← μ v − η g, W ← W + v).
        lr: η of plain gradient descent, in its place.
        samples: ``"rows"`` or ``"columns"``: how samples lie in square matrices, which
            do not show it. Asked for only where it matters.
        lang: ``"en"`` or ``"zh-TW"``; by default that of the locale.

    Returns:
        A :class:`WorkReport`: print it; ``report.ok``, ``report.first``,
        ``report["delta1"].slips``.

    Rounding: an answer is right where it cannot be told from the right number in the
    digits in which it was written, at least 3 and at most 6 significant ones, or in the
    decimals of the sheet (3 or more); and where the same was done at every step before
    it. Right digits, but fewer than 3, are right with a remark; where a slip would be
    written with the same digits, the answer is open. Over several samples δ
    is ∂ℒ/∂z and has the 1/n of the mean in it; δ of each sample's own loss is accepted
    too where the gradients have the 1/n.

    Raises:
        ArgumentError: a name that is not known, a network, loss or optimiser for which
            there are no formulas, no answers at all, updates without η or of frozen
            parameters, η ≤ 0.
        ShapeError, DTypeError, NonFiniteError: numbers that are none or do not fit.

    >>> import chainrule as cr
    >>> from chainrule import nn
    >>> model = nn.Sequential(nn.Linear(2, 1, dtype="float64"), nn.Sigmoid())
    >>> _ = model.load_state_dict({"0.weight": [[1.0, 2.0]], "0.bias": [-2.0]})
    >>> mine = {"z1": -1, "a1": 0.2689, "delta1": -0.7311, "dW1": [-0.3656, -0.1828]}
    >>> report = cr.check_work(model, [0.5, 0.25], [1.0], "half_squared", mine)
    >>> report.first, [slip.message() for slip in report["delta1"].slips]
    ('delta1', ['f′ is missing'])
    >>> report["dW1"].status, report["dW1"].since
    ('consequence', ('delta1',))
    """
    with language(lang):
        if samples not in (None, ROWS, COLUMNS):
            raise ArgumentError(
                _("Samples lie in rows or in columns."),
                expected="samples='rows', samples='columns'",
                got=repr(samples),
            )
        network = network_of(model)
        o, network = objective_of(loss, network)
        formulas = Formulas(network, o)
        optimizer = _optimizer(optimizer, lr)
        step = step_of(model, formulas, optimizer) if optimizer else None
        formulas = replace(formulas, steps=step.equations if step else None)
        written = _written(formulas, answers, step)
        arrays = parameters(network, model)
        pairs = [(samples, samples)] if samples else _PAIRS
        task = _Task(formulas, arrays, x, y, written, step)
        chosen = _chosen([_Reading(task, *pair) for pair in pairs])
        sheet = chosen.sheet
        return WorkReport(sheet.formulas, tuple(chosen.marks), sheet.n, current())


def _written(
    formulas: Formulas, answers: Mapping[str, Any], step: Step | None
) -> dict[str, Written]:
    """Return a student's answers by key; raise an error for names that do not fit."""
    if not isinstance(answers, Mapping):
        raise ArgumentError(
            _("Answers are numbers with names."),
            expected="{'z1': [0.1, 0.2], 'a1': …}",
            got=f"{answers!r:.80}",
        )
    answers_read: dict[str, Written] = {}
    names: dict[str, str] = {}
    for name, numbers in answers.items():
        key = key_of(name, formulas.network, formulas.updates)
        if key in names:
            raise ArgumentError(
                _("One quantity is given twice."),
                expected=_("{name} once", name=key),
                got=f"{names[key]!r}, {name!r}",
            )
        names[key] = str(name)
        answer = read(str(name), numbers)
        if answer is not None:
            answers_read[key] = answer
    if not answers_read:
        raise ArgumentError(
            _("There are no answers to be marked."),
            expected=", ".join(list(keys(formulas.network))[:4]) + ", …",
            got=ngettext("{n} name, all blank", "{n} names, all blank", n=len(answers)),
        )
    still = [key for key in answers_read if key not in formulas.all]
    if still:
        raise ArgumentError(
            _("{names} is frozen: a step leaves it as it is.", names=", ".join(still)),
            expected=_("parameters with requires_grad=True"),
            got=", ".join(still),
            fix=_("leave it out"),
        )
    new = [key for key in answers_read if split(key)[0] in ("W", "b")]
    if step is None and new:
        raise ArgumentError(
            _("Updated parameters cannot be marked without η."),
            expected="lr=0.1",
            got=", ".join(new),
            fix=_("give lr, or ask for the gradients: {name}", name=f"d{new[0]}"),
        )
    return answers_read


def _optimizer(
    optimizer: RuleOptimizer | None, lr: float | None
) -> RuleOptimizer | None:
    """Return the optimiser of an exercise: the given one, SGD with ``lr``, or None."""
    if optimizer is not None and lr is not None:
        raise ArgumentError(
            _("η is given twice."),
            expected=_("lr, optimizer"),
            got=f"lr={lr}, {optimizer}",
        )
    return SGD(lr=rate_of(lr)) if lr is not None else optimizer


@dataclass(frozen=True, eq=False)
class _Task:
    """The input of a marking task: formulas, parameters, x, y and student's answers."""

    formulas: Formulas
    parameters: Mapping[str, Array]
    x: Any
    y: Any
    written: Mapping[str, Written]
    step: Step | None


#: How samples may lie in a square x, and in square answers.
_PAIRS = [(a, b) for a in (ROWS, COLUMNS) for b in (COLUMNS, ROWS)]


class _Reading:
    """A student's answer sheet with square matrices read as rows or columns, marked.

    Attributes:
        same: how what is square was read; nothing else tells readings apart.
    """

    def __init__(self, task: _Task, samples: str, of_answers: str) -> None:
        xs, ys, x_is_open = _samples(task.formulas, task.x, task.y, samples)
        n, written = len(xs), task.written
        formulas = replace(task.formulas, batch=n > 1)
        start: Numbers = known_quantities(formulas.network, task.parameters, xs, ys)
        start |= task.step.numbers if task.step else {}
        fitted = {k: fit(formulas, k, w, n, of_answers) for k, w in written.items()}
        answers_are_open = any(answer.open for answer in fitted.values())
        self.same = (x_is_open and samples, answers_are_open and of_answers)
        sheet = Sheet(
            formulas,
            start,
            fitted,
            digits_of(written.values()),
            decimals_of(w for k, w in written.items() if to_decimals(formulas, k)),
            coarsest_of(written.values()),
            n,
            task.step is not None,
        )
        self.sheet, self.own_losses = _per_sample(sheet)
        self.marks: list[Mark] = []

    def mark(self) -> tuple[int, int]:
        """Mark an answer sheet; return the number of right and of explained answers."""
        self.marks = [
            replace(m, remarks=(*m.remarks, "per_sample"))
            if self.own_losses and m.key.startswith("delta")
            else m
            for m in marked(self.sheet)
        ]
        right = sum(m.status == RIGHT for m in self.marks)
        known = sum(m.status == CONSEQUENCE or bool(m.slips) for m in self.marks)
        return right, known


def _chosen(readings: list[_Reading]) -> _Reading:
    """Return the answer sheet's reading with most right answers, or raise an error."""
    different = list({r.same: r for r in reversed(readings)}.values())[::-1]
    counts = [reading.mark() for reading in different]
    best = [r for r, c in zip(different, counts, strict=True) if c == max(counts)]
    first = best[0]
    statuses = {tuple(mark.status for mark in reading.marks) for reading in best}
    if len(statuses) == 1:
        return first
    raise ArgumentError(
        _("Samples may lie in the rows or in the columns of these answers."),
        expected=_("matrices that are not square, or a word on how samples lie"),
        got=", ".join(k for k, a in first.sheet.answers.items() if a.open) or "x",
        fix="samples='rows', samples='columns'",
    )


def _samples(
    formulas: Formulas, x: Any, y: Any, samples: str
) -> tuple[Array, Array, bool]:
    """Return an exercise's x and y as rows, and whether x could be read as columns."""
    xs, ys = array_of("x", x), array_of("y", y)
    sizes = formulas.network.sizes
    first, outputs = sizes[0], sizes[-1]
    is_open = xs.shape == (first, first) and first > 1
    columns = xs.ndim == 2 and xs.shape[0] == first and xs.shape[1] > 1
    if columns and (samples == COLUMNS or not is_open):
        xs = xs.T
        if ys.shape == (outputs, len(xs)):
            ys = ys.T
    return *fitted_samples(formulas, xs, ys), is_open


def _per_sample(sheet: Sheet) -> tuple[Sheet, bool]:
    """Return an answer sheet with δ divided by n if given for each sample's loss."""
    answers, n = sheet.answers, sheet.n
    errors = [k for k in sheet.order if k in answers and k.startswith("delta")]
    slopes = [k for k in sheet.order if k in answers and k.startswith(("dW", "db"))]
    if n < 2 or not errors or not slopes:
        return sheet, False

    def near(key: str, by: float) -> bool:
        answer, ways = answers[key], exact_ways(sheet.formulas, key)
        return answer.fits and sheet.near_formulas(answer, sheet.right, ways, by)

    as_they_are = [near(k, 1) and not near(k, n) for k in errors]  # zeros are neither
    if not near(errors[0], n) or near(errors[0], 1) or any(as_they_are):
        return sheet, False
    telling = (near(k, 1) for k in slopes if near(k, 1) != near(k, n))  # not zeros
    if not next(telling, False):
        return sheet, False
    meant = dict(answers)
    for key in errors:
        if answers[key].fits:
            meant[key] = replace(answers[key], written=answers[key].written.divided(n))
    return replace(sheet, answers=meant), True
