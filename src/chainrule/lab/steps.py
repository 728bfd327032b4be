"""One training step on one sample, equation by equation, with all its numbers.

What the page shows and what a click asks for come from :func:`chainrule.explain`: the
graph that is trained is the graph that is explained.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.errors import ArgumentError, ChainruleError, ShapeError
from chainrule.explanation import Equation, Explanation, Section, explain
from chainrule.explanation.sections import explained
from chainrule.graph.node import Array
from chainrule.lab.characters import characters_of
from chainrule.notation import mathml
from chainrule.notation.arithmetic import COLUMNS
from chainrule.notation.expressions import Expr
from chainrule.operations.indices import INDEX_OUT_OF_RANGE
from chainrule.text import _, tr
from chainrule.text.catalogue import current
from chainrule.training import Trainer

#: Numbers of an array that a page gets; of a larger one the first rows and columns.
ROWS, COLUMNS_SHOWN, CELLS = 128, 1024, 1 << 17
#: The sections of the book that an equation belongs to, by its key.
BOOK = {
    "z": "2.4",
    "a": "2.4",
    "loss": "2.5",
    "gradient": "3.4.1",
    "slope": "3.4.2",
    "delta": "3.4.2",
    "dW": "3.4.1",
    "db": "3.5",
}
_UPDATE = "3.4.3"
_OF = (
    (re.compile(r"^∂ℒ/∂(.+)$"), r"\1"),
    (re.compile(r"^δ(.*)$"), r"z\1"),
    (re.compile(r"^f′\((.+)\)$"), r"\1"),
    (re.compile(r"^∇_(\S+) ℒ$"), r"\1"),
)


class Shown:
    """The step on one sample that a page is looking at.

    Args:
        trainer: of the network.
        part: the data set.
        row: the sample.
        weights: those that it is made with, without an update; None: the model's own.
        step: which these are.

    It is told in the language in use, and in another one by the same numbers.
    """

    def __init__(
        self,
        trainer: Trainer,
        part: Dataset,
        row: int,
        weights: Mapping[str, Array] | None = None,
        step: int = 0,
    ) -> None:
        if not 0 <= row < len(part):
            raise ArgumentError(
                _("There is no such sample."),
                expected=_("rows 0 … {last}", last=len(part) - 1),
                got=str(row),
            )
        self.row, self.step = row, step
        self._part = part
        one = part.rows([row])
        self.x, self.y = one.x, one.y
        model, optimizer = trainer.model, trainer.optimizer
        if weights is not None:
            model, optimizer = copy.deepcopy(model), None
            model.load_state_dict(weights)
        self._model, self._loss = copy.deepcopy(model).eval(), trainer.loss
        try:
            self._training = explain(model, one.x, one.y, trainer.loss, optimizer)
        except ShapeError as error:
            raise of_one(error) from error

    def of(self, part: Dataset, row: int) -> bool:
        """Return whether it is that of a sample."""
        return self._part is part and self.row == row

    @property
    def explanation(self) -> Explanation:
        """The step in training mode."""
        self._training = _in_use(self._training)
        return self._training

    @property
    def evaluated(self) -> Explanation:
        """The step in evaluation mode, with derivatives by the sample.

        Dropout is off, and batch normalisation takes its running statistics: so the
        network answers.
        """
        self._answering = _in_use(self._answering)
        return self._answering

    @cached_property
    def _answering(self) -> Explanation:
        return explain(self._model, self.x, self.y, self._loss, inputs=True)

    # -- the equations -----------------------------------------------------------------

    def message(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the equations in order, and the numbers of their symbols."""
        e = self.explanation
        arrays: dict[str, Array] = {}
        shown = [*self._inputs(arrays), *self._equations(arrays)]
        check = e.check()
        content = {
            "row": self.row,
            "loss": e.loss,
            "layers": [
                {"l": s.l, "modules": list(s.modules), "notes": list(s.notes)}
                for s in e.sections
            ],
            "steps": shown,
            "notes": list(e.notes),
            "check": {"ok": check.ok, "text": str(check)},
        }
        return content, arrays

    def _inputs(self, arrays: dict[str, Array]) -> Iterator[dict[str, Any]]:
        names, run = self.explanation.names, self.explanation.run
        for value in (*run.x, run.y):
            expr = names.of[value]
            yield {
                "direction": "input",
                "layer": 0,
                "math": mathml.mathml(expr),
                "text": expr.text(),
                **self._numbers(expr, arrays),
            }

    def _equations(self, arrays: dict[str, Array]) -> Iterator[dict[str, Any]]:
        sections = self.explanation.sections
        for section in sections:
            for expr, path in section.tensors.items():
                yield {
                    "direction": "parameter",
                    "layer": section.l,
                    "math": mathml.mathml(expr),
                    "text": f"{expr.text()} ({path})",
                    **self._numbers(expr, arrays),
                }
            yield from self._of(section, "forward", section.forward, arrays)
        for section in reversed(sections):
            yield from self._of(section, "backward", section.backward, arrays)
        for section in sections:
            yield from self._of(section, "update", section.update, arrays)

    def _of(
        self,
        section: Section,
        direction: str,
        equations: tuple[Equation, ...],
        arrays: dict[str, Array],
    ) -> Iterator[dict[str, Any]]:
        for equation in equations:
            book = _UPDATE if direction == "update" else BOOK.get(equation.key, "")
            numbers: dict[str, Any] = {}
            if (
                direction != "update"
            ):  # where the name has its new value only afterwards
                numbers = self._numbers(equation.name, arrays)
            yield {
                "direction": direction,
                "layer": section.l,
                "math": mathml.equation(
                    equation.sides, display=False, sign=equation.sign
                ),
                "text": equation.text(),
                "remark": equation.remark,
                "key": equation.key,
                "book": book,
                **numbers,
            }

    def _numbers(self, expr: Expr, arrays: dict[str, Array]) -> dict[str, Any]:
        """Put a symbol's numbers among the arrays; return where, and what they are."""
        quantity = self.explanation.numbers.get(expr)
        if quantity is None:
            return {}
        array, name = np.asarray(quantity.array), expr.text()
        turned = quantity.kind == COLUMNS and array.ndim == 2
        flat = array.reshape(array.shape[0], -1) if array.ndim > 2 else array
        if flat.ndim == 2:
            flat = flat[:ROWS, : max(1, min(COLUMNS_SHOWN, CELLS // ROWS))]
        else:
            flat = flat[:COLUMNS_SHOWN] if flat.ndim else flat
        arrays[name] = flat.astype(np.float32 if flat.dtype.kind == "f" else flat.dtype)
        if arrays[name].dtype.kind not in "fiu" or arrays[name].itemsize > 4:
            arrays[name] = arrays[name].astype(np.float32)
        return {
            "numbers": name,
            "shape": list(array.shape),
            "turned": turned,
            "of": self._clickable(name),
        }

    def _clickable(self, name: str) -> str | None:
        """Return the value whose elements have a path, for a symbol; None: none."""
        run, names = self.explanation.run, self.explanation.names
        known = {s.text() for v, s in names.of.items() if v in run.cotangents}
        for pattern, becomes in _OF:  # a derivative by v is part of the path of v
            if pattern.match(name):
                name = pattern.sub(becomes, name)
                break
        return name if name in known else None

    # -- a click -----------------------------------------------------------------------

    def path(
        self, name: str, index: list[int], *, evaluated: bool = False
    ) -> dict[str, Any]:
        """Return the path of a number to the loss: forward, and by the chain rule.

        Args:
            name: its symbol.
            index: where it is.
            evaluated: whether in evaluation mode.

        Raises:
            ArgumentError: no such number; one on which the loss does not depend.
        """
        explanation = self.evaluated if evaluated else self.explanation
        path = explanation.element(name, tuple(index))
        return {
            "name": path.steps[0].name,
            "loss": path.loss,
            "loss_formula": path.loss_formula,
            "gradient": path.gradient,
            "steps": [
                {
                    "name": step.name,
                    "symbol": step.symbol,
                    "index": list(step.index),
                    "value": step.value,
                    "gradient": step.gradient,
                    "formula": step.formula,
                    "remark": step.remark,
                    "more": max(0, len(step.terms) - len(step.followed)),
                    "terms": [
                        {
                            "symbol": term.symbol,
                            "index": list(term.index),
                            "derivative": term.derivative,
                            "gradient": term.gradient,
                            "product": term.product,
                        }
                        for term in step.followed
                    ],
                }
                for step in path.steps
            ],
        }


def of_one(error: ShapeError) -> ChainruleError:
    """Return what is said of a network that fails on a sample alone.

    Args:
        error: what was raised; it is returned where it says what is wrong.
    """
    if error.what != INDEX_OUT_OF_RANGE:
        return error
    return ArgumentError(
        _("This network reads a sample by its number, and here is one alone."),
        expected=_("a network that answers each sample by itself"),
        got=_("index {index}, {limits}", index=error.got, limits=error.expected),
        fix=_("leave x[1] and the like out of forward, or train it without the lab"),
    )


def _in_use(explanation: Explanation) -> Explanation:
    """Return an explanation in the language in use, of the same numbers."""
    if explanation.lang == current():
        return explanation
    return explained(explanation.run)


def label_of(part: Dataset, row: int) -> str:
    """Return the truth of a sample as text."""
    y = np.ravel(part.y[row])
    if (characters := characters_of(part)) is not None:
        return characters.decode(y.tolist())
    if part.class_names is not None and part.classes is not None:
        return str(part.class_names[int(y[0])])
    return tr(", ").join(f"{value:g}" for value in y.tolist())
