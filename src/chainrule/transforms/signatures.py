"""The types of differentiated functions, for type checkers.

A gradient has the structure of the argument that it belongs to: a tensor's is a tensor,
a module's is a dictionary of tensors by name. What the argument is a call says, or the
function where it has annotations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from chainrule.operations.accepted import TensorLike
from chainrule.tensor import Tensor

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
A = TypeVar("A")


class HasParameters(Protocol):
    """A module, as :mod:`chainrule.nn` has them."""

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """Yield the parameters by name."""
        ...


M = TypeVar("M", bound=HasParameters)


class Transformed:
    """The type of a function that is made of another one and takes its arguments."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        raise NotImplementedError


class Jacobian(Transformed, Generic[P, R]):
    """The type of a function's Jacobian or Hessian, for type checkers."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the derivatives at the arguments."""
        raise NotImplementedError


class Gradient(Transformed, Generic[P]):
    """The type of a function's gradient by its first argument, for type checkers."""

    @overload
    def __call__(
        self: Gradient[Concatenate[Tensor, Q]],
        x: TensorLike,
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> Tensor: ...
    @overload
    def __call__(
        self: Gradient[Concatenate[TensorLike, Q]],
        x: TensorLike,
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> Tensor: ...
    @overload
    def __call__(
        self: Gradient[Concatenate[M, Q]], x: M, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> dict[str, Tensor]: ...
    @overload
    def __call__(
        self: Gradient[Concatenate[A, Q]], x: A, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> A: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the gradient at the arguments."""
        raise NotImplementedError


class ValueAndGradient(Transformed, Generic[P, R]):
    """The type of a function that gives a value and a gradient, for type checkers."""

    @overload
    def __call__(
        self: ValueAndGradient[Concatenate[Tensor, Q], R],
        x: TensorLike,
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> tuple[R, Tensor]: ...
    @overload
    def __call__(
        self: ValueAndGradient[Concatenate[TensorLike, Q], R],
        x: TensorLike,
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> tuple[R, Tensor]: ...
    @overload
    def __call__(
        self: ValueAndGradient[Concatenate[M, Q], R],
        x: M,
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> tuple[R, dict[str, Tensor]]: ...
    @overload
    def __call__(
        self: ValueAndGradient[Concatenate[A, Q], R],
        x: A,
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> tuple[R, A]: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> tuple[R, Any]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the value and the gradient at the arguments."""
        raise NotImplementedError


class GradientAndValue(Transformed, Generic[P, R]):
    """The type of a function that gives a gradient and a value, for type checkers."""

    @overload
    def __call__(
        self: GradientAndValue[Concatenate[Tensor, Q], R],
        x: TensorLike,
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> tuple[Tensor, R]: ...
    @overload
    def __call__(
        self: GradientAndValue[Concatenate[TensorLike, Q], R],
        x: TensorLike,
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> tuple[Tensor, R]: ...
    @overload
    def __call__(
        self: GradientAndValue[Concatenate[A, Q], R],
        x: A,
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> tuple[A, R]: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> tuple[Any, R]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the gradient and the value at the arguments."""
        raise NotImplementedError
