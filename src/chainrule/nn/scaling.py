"""Layers that scale data by statistics, which are measured and not trained."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from chainrule.errors import ArgumentError, NonFiniteError, ShapeError
from chainrule.graph.node import Array
from chainrule.graph.types import DType, numeric
from chainrule.nn.arguments import Count, floating, layer_name, positive_integers
from chainrule.nn.module import Module
from chainrule.operations.operands import promote
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _

__all__ = ["Standardize"]


class Measured(Module):
    """Base class of layers with statistics measured from data, such as scaling.

    A class of them has a constructor of ``num_features`` and ``dtype``, and
    :meth:`measure`.
    """

    #: The part of a data set that it is meant for.
    column: ClassVar[str] = "x"
    num_features: int
    dtype: DType

    def _set(self, num_features: Count | None, dtype: str) -> None:
        kind = type(self).__name__
        if num_features is None:
            raise ArgumentError(
                _("{kind} needs numbers to work with.", kind=kind),
                expected=_(
                    "nn.{kind}.of(train.{column}), which reads them off data",
                    kind=kind,
                    column=self.column,
                ),
                got=f"nn.{kind}()",
                fix=f"nn.{kind}.of(train.{self.column})",
            )
        (self.num_features,) = positive_integers(kind, num_features=num_features)
        self.dtype = floating(kind, dtype)

    def measure(self, columns: Array) -> None:
        """Set the layer's statistics from data columns, float64 of shape (n, C)."""
        raise NotImplementedError

    @classmethod
    def of(cls, data: Any, *, dtype: Any = None, **options: Any) -> Self:
        """Return a scaling layer with statistics measured from the columns of data.

        Args:
            data: (n, C), or (n,) for one feature.
            dtype: of what the layer returns.
            options: further arguments of the constructor.

        Raises:
            ShapeError: no rows, or more than two axes.
            NonFiniteError: NaN or an infinity, with its row and column.
        """
        if hasattr(data, "x") and not hasattr(data, "__array__"):
            raise ArgumentError(
                _("{name}.of reads an array, not a data set.", name=cls.__name__),
                expected=_("the samples or the targets alone"),
                got=type(data).__name__,
                fix=f"nn.{cls.__name__}.of(train.{cls.column})",
            )
        array = _in_float64(data)
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2 or not array.size:
            raise ShapeError(
                _("{name}.of reads columns of numbers.", name=cls.__name__),
                expected=_("shape (n, features) with at least one row"),
                got=show(array.shape),
                fix="x.reshape(len(x), -1)",
            )
        _refuse_non_finite(cls.__name__, array)
        make: Any = cls
        layer: Self = make(array.shape[1], dtype=dtype, **cls._options(array, options))
        layer.measure(array)
        return layer

    @classmethod
    def _options(cls, columns: Array, options: dict[str, Any]) -> dict[str, Any]:
        """Return a scaling layer's further arguments, which may depend on the data."""
        return options

    def _check(self, x: Any) -> Tensor:
        x = as_tensor(x)
        if not x.shape or x.shape[-1] != self.num_features:
            raise ShapeError(
                _(
                    "{name} was made for other data.",
                    name=layer_name(type(self).__name__),
                ),
                expected=_(
                    "a last axis of {num_features}", num_features=self.num_features
                ),
                got=show(x.shape),
                fix=f"nn.{type(self).__name__}.of(the data that the model trains on)",
            )
        exact = x.dtype.is_float or x.dtype.itemsize > 2
        wide = x.dtype if x.dtype.is_float else DType.float64
        return x.astype(promote(wide, self.dtype) if exact else self.dtype)


class Scaling(Measured):
    """Base class of scaling layers, with each feature's mean and standard deviation.

    A column of equal numbers gets the standard deviation 1, so that it becomes 0 and
    not NaN.
    """

    mean: Tensor
    std: Tensor
    #: The dtype of the mean where it is wider than that of the layer.
    widest: ClassVar[DType | None] = None

    @property
    def mean_dtype(self) -> DType:
        """The dtype in which a scaling layer stores the mean."""
        return self.widest or self.dtype

    def __init__(self, num_features: Count | None = None, *, dtype: Any = None) -> None:
        self._set(num_features, dtype)
        self.register_buffer("mean", np.zeros(self.num_features, self.mean_dtype.numpy))
        self.register_buffer("std", np.ones(self.num_features, self.dtype.numpy))

    def measure(self, columns: Array) -> None:
        """Set the scaling layer's mean and standard deviation from data columns."""
        mean, std = moments(columns)
        self.mean.copy_(mean)
        self.std.copy_(std)


def moments(columns: Array) -> tuple[Array, Array]:
    """Compute the mean and standard deviation of data columns; 1 for equal values."""
    mean, std = columns.mean(axis=0), columns.std(axis=0)
    constant = columns.max(axis=0) == columns.min(axis=0)
    return np.where(constant, columns[0], mean), np.where(constant, 1.0, std)


class Standardize(Scaling):
    """x ↦ (x − mean)/std, feature by feature, as the first layer of a network.

    The two are buffers (``mean`` in float64, ``std``): kept with the model, not
    trained. So the network takes data as they were measured, and a checkpoint is
    complete. As the first layer it is given data as they are stored, and takes the mean
    away before anything is rounded: of times of 1.7e9 seconds the seconds are left.

    Args:
        num_features: the size of the last axis; :meth:`of` reads it off data.
        dtype: of the result, that of the next layer. Data of another dtype are
            standardised in the wider of the two before they are converted, integers of
            more than 16 bits in float64.

    >>> import chainrule as cr
    >>> cr.nn.Standardize.of([[1.0, 5.0], [3.0, 5.0]])(cr.tensor([[4.0, 6.0]]))
    tensor([[2., 1.]])
    """

    widest = DType.float64

    def forward(self, x: Tensor) -> Tensor:
        """Standardise the features: (x − mean)/std."""
        x = self._check(x)
        centred = x - self.mean.astype(x.dtype)
        return (centred / self.std.astype(x.dtype)).astype(self.dtype)


def _in_float64(data: Any) -> Array:
    """Convert measured data to float64, without rounding to float32 first."""
    if not isinstance(data, Tensor):
        array = np.asarray(data, np.float64 if isinstance(data, list | tuple) else None)
        if numeric(array):
            return array.astype(np.float64)
    return as_tensor(data).numpy().astype(np.float64)


def _refuse_non_finite(name: str, array: Array) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        raise NonFiniteError(
            _("{name}.of needs finite numbers.", name=name),
            expected=_("no NaN and no infinity"),
            got=_(
                "{array} in row {row}, column {column}",
                array=array[row, column],
                row=row,
                column=column,
            ),
            fix=_("drop the row, or fill the gap before"),
        )
