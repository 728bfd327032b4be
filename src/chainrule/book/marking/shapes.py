"""The orientation of a student's answers: samples as columns or as rows.

Inside, a sample is a row, as in memory. What is square says nothing about itself: it
lies as ``samples`` says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chainrule.book.derivation.formulas import Formulas, split
from chainrule.book.marking.place import Place
from chainrule.book.marking.written import Written
from chainrule.notation.expressions import Array

ROWS, COLUMNS = "rows", "columns"
#: Quantities that have a column for each sample.
OF_SAMPLES = ("z", "a", "delta")


@dataclass(frozen=True, eq=False)
class Fitted:
    """A student's answer, reshaped or transposed to the shape of its quantity.

    Attributes:
        key: of which quantity.
        written: its numbers as they lie in memory; as they were written, where the
            shape is another one.
        fits: whether it has the quantity's shape, turned or not.
        turned: whether it is a matrix that is turned, with the shape (inputs, outputs).
        open: whether it could as well lie the other way.
        columns: whether its samples are columns.
        decimal: whether it is rounded to the decimals of the sheet.
        unit: of what it counts; −η for a velocity with the step in it.
    """

    key: str
    written: Written
    fits: bool
    turned: bool = False
    open: bool = False
    columns: bool = True
    decimal: bool = True
    unit: float = 1.0

    @property
    def values(self) -> Array:
        """The numbers of a student's answer, divided by its unit."""
        return self.written.values / self.unit

    def half(self, decimals: int) -> Array:
        """Return the rounding error allowed for each number of a student's answer.

        Args:
            decimals: of the whole sheet.
        """
        half = self.written.resolution(decimals if self.decimal else 0)
        return half / abs(self.unit)


def to_decimals(formulas: Formulas, key: str) -> bool:
    """Return whether answers for a quantity are rounded to the sheet's decimals.

    Running means of squares are not: they are small, and divided by.
    """
    return not Place(formulas, *split(key)).of_squares


def fit(formulas: Formulas, key: str, written: Written, n: int, samples: str) -> Fitted:
    """Return a student's answer in its quantity's shape, transposed if needed.

    Args:
        formulas: of the network.
        key: which quantity it is.
        written: its numbers.
        n: how many samples there are.
        samples: ``rows`` or ``columns``: how a square answer lies.
    """
    fitted = _fit(formulas, key, written, n, samples)
    return replace(fitted, decimal=to_decimals(formulas, key))


def _fit(
    formulas: Formulas, key: str, written: Written, n: int, samples: str
) -> Fitted:
    kind = split(key)[0]
    want, shape = formulas.shape(key, n), written.shape
    size = written.values.size
    if kind in OF_SAMPLES:
        return _of_samples(key, written, want, samples)
    if shape == want or (size == 1 and _product(want) == 1):
        return Fitted(key, written.reshaped(want), True)
    if kind[-1] == "b":
        line = max(shape, default=1) == size == want[0]
        return Fitted(key, written.reshaped(want) if line else written, line)
    if kind[-1] == "W":
        if len(shape) == 1 and 1 in want and size == max(want):
            return Fitted(key, written.reshaped(want), True)
        if shape == want[::-1]:
            return Fitted(key, written.T, True, turned=True)
    return Fitted(key, written, False)


def _of_samples(
    key: str, written: Written, want: tuple[int, ...], samples: str
) -> Fitted:
    shape, (n, size) = written.shape, want
    flat = len(shape) < 2 and 1 in want
    line = n == 1 and max(shape, default=1) == written.values.size
    if (flat or line) and written.values.size == n * size:
        return Fitted(key, written.reshaped(want), True)
    if shape == (n, size) == (size, n):
        columns = samples == COLUMNS
        return Fitted(
            key, written.T if columns else written, True, False, True, columns
        )
    if shape == (n, size):
        return Fitted(key, written, True, columns=False)
    if shape == (size, n):
        return Fitted(key, written.T, True)
    return Fitted(key, written, False)


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
