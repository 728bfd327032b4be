"""Declaration of tensor functions: each is written once, as a function of values.

A declaration

    @op("multiply", operator="mul", in_place=True)
    def mul(x: Value, other: Value) -> Value:
        '''Return the product x · other; for truth values, the logical and.'''
        product = bitwise_and if x.dtype is DType.bool else prims.mul
        return apply(product, (x, other), {})

is the implementation, and everything public follows from it: ``cr.mul`` and
``cr.multiply``, the tensor methods of both names, ``x * y``, ``x *= y`` and ``x.mul_``.
Inside of this package a declared function is called as it stands, with values.

Annotations say what is converted before the function is called:

- a first parameter ``x: Value`` is a tensor, or anything that makes one;
- a second one too, ``x: Value, other: Value``: two operands, which are brought to one
  dtype and shape. A number follows the dtype of the other operand;
- any other parameter is passed as it came.

The annotation of the result says what it becomes: ``-> Value`` a new tensor,
``-> Viewed`` a view of the argument. Values in tuples and lists become tensors, and
everything else stays as it is.

A declaration says what there is, and ``tools/stubs.py`` writes the names down, for type
checkers and in ``names.py``: so a family of functions is imported at its first use.

Parameters have PyTorch's names. NumPy's names of the same parameters are accepted by
keyword: see :data:`ALIASES`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

from chainrule.errors import ArgumentError, CallError, ChainruleError
from chainrule.graph.node import Value
from chainrule.text import _
from chainrule.util.pytorch_hints import KEYWORDS

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

#: NumPy's names of parameters, and PyTorch's names of the same.
ALIASES = {
    "axis": ("dim", "dims"),
    "axes": ("dims",),
    "keepdims": ("keepdim",),
    "k": ("diagonal",),
    "shift": ("shifts",),
    "shape": ("size",),
    "stop": ("end",),
    "num": ("steps",),
    "split_size": ("split_size_or_sections",),
}

#: Exceptions that Python and NumPy raise at arguments that make no sense.
INVALID_CALL = (TypeError, ValueError, ArithmeticError, LookupError)
INVALID_CALL += (AttributeError, BufferError)

#: The declared functions of the families that are imported, by family; those of all:
#: :func:`chainrule.operations.declared`.
OPS: dict[str, list[Op]] = {}

#: The signs of operators that change their first operand in place.
SIGNS = {
    "add": "+=",
    "sub": "-=",
    "mul": "*=",
    "truediv": "/=",
    "floordiv": "//=",
    "mod": "%=",
    "pow": "**=",
    "matmul": "@=",
    "and": "&=",
    "or": "|=",
    "xor": "^=",
    "lshift": "<<=",
    "rshift": ">>=",
}


class Viewed(NamedTuple):
    """A result of a tensor function that is a view of its argument.

    Attributes:
        value: what the view shows.
        view: the pair of functions that takes the view and writes through it; None for
            another shape, which is a view or a copy by how the elements lie in memory.
        arguments: of these functions.
    """

    value: Value
    view: Any = None
    arguments: tuple[Any, ...] = ()


class Op:
    """A declared tensor function, from which functions, methods and operators follow.

    Attributes:
        function: the implementation, a function of values.
        name: the public name.
        names: other public names.
        method, public: whether tensors have it as a method, and ``cr`` as a function.
        operator: the name of Python's operator, such as ``"add"``.
        in_place: whether there is a method ``name_`` that changes the tensor.
        floats: whether integers are converted to float32 first.
        wide: whether bfloat16 is computed in float32 and the result rounded once; None
            for what the family does, see :mod:`chainrule.operations.narrow`.
        creates: whether the function creates a tensor, and takes ``device=`` and
            ``requires_grad=`` too.
        module: the module of the package that has the function, ``"special"`` for
            example; empty for the package itself, and for a method.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        names: tuple[str, ...] = (),
        *,
        name: str = "",
        method: bool = True,
        public: bool = True,
        operator: str = "",
        in_place: bool = False,
        floats: bool = False,
        wide: bool | None = None,
        creates: bool = False,
        module: str = "",
    ) -> None:
        self.function, self.names, self.module = function, names, module
        self.name = name or function.__name__.removesuffix("_")
        self.method, self.public = method and not module, public and not module
        self.operator, self.in_place = operator, in_place
        self.floats, self.creates, self.wide = floats, creates, wide
        code, kinds = inspect.unwrap(function).__code__, function.__annotations__
        count = code.co_argcount + code.co_kwonlyargcount
        self.positional = code.co_varnames[: code.co_argcount]
        self.keywords = frozenset(code.co_varnames[:count])
        #: The parameters by position that may be left out.
        defaults = len(inspect.unwrap(function).__defaults__ or ())
        self.optional = self.positional[len(self.positional) - defaults :]
        #: The name of ``*sizes``, if the function takes it.
        self.several = code.co_varnames[count] if code.co_flags & 4 else ""
        values = [kinds.get(name) == "Value" for name in self.positional[:2]]
        self.of_tensor = values[:1] == [True]
        self.of_pair = values == [True, True]
        self.gives_value = kinds.get("return") == "Value"

    @property
    def family(self) -> str:
        """The name of the module that declares the tensor function: its family."""
        return self.function.__module__.rpartition(".")[2]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the tensor function's implementation, on values instead of tensors."""
        return self.function(*args, **kwargs)

    @cached_property
    def __signature__(self) -> inspect.Signature:
        """The public signature of the tensor function, with aliases of parameters."""
        own = inspect.signature(self.function)
        parameters = [p.replace(annotation=_shown(p)) for p in own.parameters.values()]
        if parameters and parameters[0].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            first = inspect.Parameter.POSITIONAL_ONLY
            parameters[0] = parameters[0].replace(kind=first)
        rest = [p for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD]
        parameters = [p for p in parameters if p not in rest]
        for alias, names in ALIASES.items():
            if alias in self.keywords or alias == self.several:
                continue
            for p in list(parameters):
                if p.name in names:
                    required = p.default is inspect.Parameter.empty
                    default = None if required else p.default
                    parameters.append(_keyword(alias, default, p.annotation))
                    break
        if self.several and not self.creates:
            parameters.append(_keyword(self.several, None))
        if self.creates:
            parameters += [_keyword("device", None), _keyword("requires_grad", False)]
        seen: dict[str, inspect.Parameter] = {}
        for p in parameters:
            seen.setdefault(p.name, p)
        return own.replace(
            parameters=sorted(seen.values(), key=lambda p: p.kind) + rest,
            return_annotation=_shown_type(own.return_annotation),
        )

    def arranged(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return a call's arguments under the tensor function's parameter names.

        Args:
            args: the arguments by position, the first one included.
            kwargs: those by name, where some names are aliases.
        """
        named: dict[str, Any] = {}
        for name, item in kwargs.items():
            target = name
            if name not in self.keywords and name != self.several:
                known = (*self.keywords, self.several)
                target = next((n for n in ALIASES.get(name, ()) if n in known), name)
            if target == self.several and target:
                if len(args) > len(self.positional):
                    rest = args[len(self.positional) :]
                    raise passed_twice(target, rest, target, item)
                args = (*args, item)
                continue
            if target in self.positional[: len(args)]:
                place = self.positional.index(target)
                if name == target or args[place] is not None:
                    raise passed_twice(target, args[place], name, item)
                args = (*args[:place], item, *args[place + 1 :])
                continue
            if named.get(target) is not None:
                raise passed_twice(target, named[target], name, item)
            named[target] = item
        # Those that are converted are passed by position.
        for name in self.positional[len(args) : 1 + self.of_pair]:
            if name not in named and name in self.optional:
                break
            if name not in named:
                raise TypeError(f"missing a required argument: {name!r}")
            args = (*args, named.pop(name))
        return args, named

    def call_error(self, error: Exception) -> CallError:
        """Return the error for a call of the tensor function with wrong arguments."""
        return call_error(self.name, self.__signature__, error)


def _keyword(name: str, default: Any, kind: str = "Any") -> inspect.Parameter:
    named = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, named, default=default, annotation=kind)


def _shown(p: inspect.Parameter) -> Any:
    return _shown_type(p.annotation)


def _shown_type(annotation: Any) -> Any:
    """Return a type annotation of values rewritten for tensors, for signatures."""
    if not isinstance(annotation, str):
        return annotation
    annotation = annotation.replace("Viewed | Value", "Viewed")
    return annotation.replace("Viewed", "Tensor").replace("Value", "Tensor")


def passed_twice(name: str, first: Any, alias: str, second: Any) -> ArgumentError:
    """Return the error for a parameter passed twice, such as ``dim`` and ``axis``."""
    if name == alias:
        return ArgumentError(
            _("{name} is given once.", name=name),
            expected=_("one value for {name}", name=name),
            got=_("{first!r:.60} and {second!r:.60}", first=first, second=second),
        )
    return ArgumentError(
        _(
            "{name} and {alias} are two names for the same thing.",
            name=name,
            alias=alias,
        ),
        expected=_("one of them"),
        got=_(
            "{name}={first!r:.40} and {alias}={second!r:.40}",
            name=name,
            first=first,
            alias=alias,
            second=second,
        ),
    )


def op(*names: Any, **traits: Any) -> Any:
    """Decorate a function of values to declare it as a tensor function.

    Args:
        names: other public names, or (without parentheses) the function.
        traits: the keywords of :class:`Op`.
    """

    def declared(function: F) -> F:
        item = Op(function, names, **traits)
        OPS.setdefault(item.family, []).append(item)
        return function

    if len(names) == 1 and not isinstance(names[0], str):
        function, names = names[0], ()
        return declared(function)
    return declared


# -- errors of calls ------------------------------------------------------------------


def call_error(name: str, signature: Any, error: Exception) -> CallError:
    """Return a CallError for a function call with wrong arguments."""
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    return CallError(
        _("{name} is not called like that.", name=name),
        expected=f"{name}{signature}",
        got=f"{type(error).__name__}: {error}",
        fix=KEYWORDS.get(unknown[1]) if unknown else None,
    )


def raises_call_error(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function to convert Python's and NumPy's call errors to CallError."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (ChainruleError, FloatingPointError):
            raise
        except INVALID_CALL as error:
            signature = inspect.signature(function)
            raise call_error(function.__name__, signature, error) from error

    return call
