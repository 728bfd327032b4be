"""The public forms of a declared tensor function: function, method, operator.

Each form converts the arguments of a call to values, calls the implementation, and
wraps its result. Those of the most frequent kinds are spelt out: they are a part of
every eager operation.

Functions are made, and the file that declares them is imported, at the first use of
one of their family. Until then methods are :class:`Later`, and functions are names.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from chainrule.engines.threads import uninterrupted
from chainrule.errors import ChainruleError
from chainrule.graph.context import context
from chainrule.graph.node import Value
from chainrule.operations import names
from chainrule.operations.device import check_device
from chainrule.operations.narrow import NARROW, computed, has_narrow, is_wide
from chainrule.operations.op import INVALID_CALL, OPS, SIGNS, Op, Viewed
from chainrule.operations.operands import (
    TensorBase,
    float_operands,
    floating,
    operands,
    value_of,
)
from chainrule.util.validation import truth

#: Stands for a first argument that is not passed by position.
MISSING: Any = object()
#: The place of methods among those of a family; see :mod:`chainrule.operations.names`.
METHODS = "Tensor"
#: Functions by the module that has them, and by name; those of methods beside them.
Made = dict[str, dict[str, Callable[..., Any]]]


class Later:
    """A method whose module is imported at its first use, which then replaces this.

    Args:
        methods: the class that has the method.
        name: of the method.
        load: imports the module, and sets the method in the class.
    """

    __slots__ = ("_load", "_methods", "_name")

    def __init__(
        self, methods: type[TensorBase], name: str, load: Callable[[], object]
    ) -> None:
        self._methods, self._name, self._load = methods, name, load

    def __get__(self, tensor: Any, owner: Any = None) -> Any:
        self._load()
        method = vars(self._methods)[self._name]
        if method is self:
            raise AttributeError(self._name)
        return method.__get__(tensor, owner)


class Forms:
    """Converter of declared tensor functions to functions, methods and operators.

    Args:
        tensor: the class of tensors.
        methods: its base class, which is given the methods and operators.
        wrap: returns a tensor of a value.
    """

    def __init__(
        self,
        tensor: type[TensorBase],
        methods: type[TensorBase],
        wrap: Callable[[Value], Any],
    ) -> None:
        self.tensor, self.methods, self.wrap = tensor, methods, wrap
        self._family_of: dict[str, dict[str, str]] = {}  # by module and by name
        self._made: dict[str, Made] = {}
        for family, places in names.FAMILIES.items():
            for place, text in places.items():
                if place == METHODS:
                    self.later(text, partial(self.load, family))
                else:
                    own = self._family_of.setdefault(place, {})
                    own.update(dict.fromkeys(text.split(), family))

    def later(self, text: str, load: Callable[[], object]) -> None:
        """Set methods, named in ``text``, that ``load`` sets at their first use."""
        for name in text.split():
            setattr(self.methods, name, Later(self.methods, name, load))

    def names(self, module: str = "") -> list[str]:
        """Return the names of functions in a module of the package, or in itself."""
        return [*self._family_of[module]]

    def named(self, name: str, module: str = "") -> Callable[..., Any]:
        """Return the function of a name in a module of the package, or in itself."""
        return self._family(self._family_of[module][name])[module][name]

    def load(self, family: str) -> None:
        """Import a family of tensor functions; set its methods and operators."""
        for name, method in self._family(family)[METHODS].items():
            setattr(self.methods, name, method)

    def _family(self, name: str) -> Made:
        """Return the functions and methods of a family, which is imported for it."""
        made = self._made.get(name)
        if made is None:
            with uninterrupted:  # half a file, read again, declares primitives twice
                importlib.import_module(f"{names.__package__}.{name}")
            # Where several threads make them, all have those of the first.
            made = self._made.setdefault(name, self._make(OPS[name]))
        return made

    def _make(self, ops: Iterable[Op]) -> Made:
        """Return tensor functions as functions, methods and operators."""
        made: Made = {METHODS: {}}
        methods = made[METHODS]
        for item in ops:
            call = self.function(item)
            for name in (item.name, *item.names):
                if item.method:
                    methods[name] = call
                if item.public or item.module:
                    made.setdefault(item.module, {})[name] = call
                if item.in_place:
                    methods[f"{name}_"] = self.in_place(item, f"{name}_")
            if item.operator:
                methods.update(self._operators(item, call))
        return made

    def function(self, item: Op) -> Callable[..., Any]:
        """Return the public function of a declared tensor function, also its method."""
        if item.creates:
            call = self._creating(item)
        elif item.of_tensor and not item.gives_value:
            call = self._viewing(item)
        elif item.positional and item.gives_value and not item.of_pair:
            call = self._of_one(item)
        elif item.gives_value:
            wrap = self.wrap
            call = self._of_any(item, lambda x, v, result: wrap(result))
        else:
            call = self._of_any(item, self.result)
        call.__name__ = call.__qualname__ = item.name
        call.__doc__, call.__module__ = item.function.__doc__, "chainrule"
        if item.module:
            call.__module__ = f"chainrule.{item.module}"
        elif not item.public:  # where pickle finds it
            call.__qualname__, call.__module__ = (
                f"Tensor.{item.name}",
                "chainrule.tensor",
            )
        call.__wrapped__ = item  # type: ignore[attr-defined]
        return call

    def in_place(self, item: Op, name: str) -> Callable[..., Any]:
        """Return the in-place method of a declared tensor function, such as ``add_``.

        Args:
            item: the function.
            name: how errors call the change, ``"+="`` for example.
        """
        call = self._of_any(item, lambda x, v, result: x._become(result, name))
        call.__name__, call.__qualname__ = name, f"Tensor.{name}"
        call.__module__ = "chainrule.tensor"  # where pickle finds it
        call.__doc__ = f"Change the tensor in place; see :meth:`{item.name}`."
        call.__wrapped__ = item  # type: ignore[attr-defined]
        return call

    # -- calls -----------------------------------------------------------------------

    def _of_one(self, item: Op) -> Callable[..., Any]:
        """Return the public form of a tensor function of one tensor, with few calls."""
        function, known, wrap = item.function, item.keywords, self.wrap
        floats, of_tensor, wide = item.floats, item.of_tensor, is_wide(item)

        def call(x: Any = MISSING, /, *args: Any, **kwargs: Any) -> Any:
            try:
                if x is MISSING:
                    every, kwargs = item.arranged((), kwargs)
                    x, args = every[0], every[1:]
                elif kwargs and not known.issuperset(kwargs):
                    every, kwargs = item.arranged((x, *args), kwargs)
                    x, args = every[0], every[1:]
                if of_tensor:
                    if not isinstance(x, TensorBase):
                        x = value_of(x)
                    elif (
                        x._base is None and x._pending is None and context.trace is None
                    ):
                        x = x._value
                    else:
                        x = x.value
                    if wide and (
                        x.dtype is NARROW
                        or (args and has_narrow(args))
                        or (kwargs and has_narrow(kwargs.values()))
                    ):
                        return wrap(computed(item, function, (x, *args), kwargs))
                    if floats and not x.dtype.is_float:
                        x = floating(x)
                elif wide and has_narrow((x, *args, *kwargs.values())):
                    return wrap(computed(item, function, (x, *args), kwargs))
                return wrap(function(x, *args, **kwargs))
            except (ChainruleError, FloatingPointError):
                raise
            except INVALID_CALL as error:
                raise item.call_error(error) from error

        return call

    def _viewing(self, item: Op) -> Callable[..., Any]:
        """Return the public form of a tensor function whose result may be a view."""
        function, known, wide = item.function, item.keywords, is_wide(item)

        def call(x: Any = MISSING, /, *args: Any, **kwargs: Any) -> Any:
            try:
                if x is MISSING:
                    every, kwargs = item.arranged((), kwargs)
                    x, args = every[0], every[1:]
                elif kwargs and not known.issuperset(kwargs):
                    every, kwargs = item.arranged((x, *args), kwargs)
                    x, args = every[0], every[1:]
                if not isinstance(x, TensorBase):
                    x = self.wrap(value_of(x))
                plain = x._base is None and x._pending is None and context.trace is None
                v = x._value if plain else x.value
                if v.dtype is NARROW and wide:
                    shown = computed(item, function, (v, *args), kwargs)
                else:
                    shown = function(v, *args, **kwargs)
                if type(shown) is not Viewed:
                    return self.result(x, v, shown)
                if shown.view is None:
                    return x._in_rows(v, shown.value)
                return x._view(v, shown.value, shown.view, *shown.arguments)
            except (ChainruleError, FloatingPointError):
                raise
            except INVALID_CALL as error:
                raise item.call_error(error) from error

        return call

    def _of_any(self, item: Op, finish: Callable[..., Any]) -> Callable[..., Any]:
        """Return the public form of a tensor function that ends in ``finish``.

        There x is the first argument, and v what it was converted to.
        """
        function, known, convert = item.function, item.keywords, self._converter(item)
        converted, wide = item.of_tensor + item.of_pair, is_wide(item)

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                if len(args) < converted or not known.issuperset(kwargs):
                    args, kwargs = item.arranged(args, kwargs)
                x, values = convert(args)
                given = values if converted else args
                if wide and has_narrow((*given, *kwargs.values())):
                    whole = _whole(function, convert)
                    return finish(x, None, computed(item, whole, args, kwargs))
                result = function(*values, **kwargs)
                return finish(x, values[0] if values else None, result)
            except (ChainruleError, FloatingPointError):
                raise
            except INVALID_CALL as error:
                raise item.call_error(error) from error

        return call

    def _converter(self, item: Op) -> Callable[..., Any]:
        """Return the converter of a tensor function's arguments to values."""
        convert = float_operands if item.floats else operands
        wrap, floats = self.wrap, item.floats

        def pair(args: tuple[Any, ...]) -> Any:
            return args[0], (*convert(args[0], args[1]), *args[2:])

        def one(args: tuple[Any, ...]) -> Any:
            x, *rest = args
            x = x if isinstance(x, TensorBase) else wrap(value_of(x))
            return x, (floating(x.value) if floats else x.value, *rest)

        def as_they_are(args: tuple[Any, ...]) -> Any:
            return args[0] if args else None, args

        return pair if item.of_pair else one if item.of_tensor else as_they_are

    def _creating(self, item: Op) -> Callable[..., Any]:
        wrap = self.wrap
        create = self._of_any(item, lambda x, v, tensor: wrap(tensor))

        def call(
            *args: Any, device: Any = None, requires_grad: Any = False, **kwargs: Any
        ) -> Any:
            check_device(device)
            tensor = create(*args, **kwargs)
            if requires_grad is False or not truth("requires_grad", requires_grad):
                return tensor
            return tensor.requires_grad_()

        return call

    def result(self, x: Any, v: Any, output: Any) -> Any:
        """Return the output of a declared tensor function as tensors.

        Args:
            x, v: the tensor that it was called with, and its value.
            output: its result; where that is ``v``, the result is the tensor itself.
        """
        if isinstance(output, Viewed):
            if output.view is None:
                return x._in_rows(v, output.value)
            return x._view(v, output.value, output.view, *output.arguments)
        if isinstance(output, Value):
            return x if output is v and x is not v else self.wrap(output)
        if isinstance(output, tuple | list):
            parts = [self.result(x, v, part) for part in output]
            kind = type(output)
            return kind(*parts) if hasattr(kind, "_fields") else kind(parts)  # type: ignore[arg-type]
        return output

    # -- operators -------------------------------------------------------------------

    def _operators(self, item: Op, call: Any) -> dict[str, Callable[..., Any]]:
        """Return a tensor function's operator, its reflected and its in-place form."""
        name, function = item.operator, item.function
        wrap, tensor, wide = self.wrap, self.tensor, is_wide(item)
        if len(item.positional) == 1:
            return {f"__{name}__": lambda x: call(x)}
        made = {f"__{name}__": self._operator(item) if item.of_pair else call}
        if name in SIGNS:
            convert = self._converter(item)

            def reflected(x: Any, other: Any) -> Any:
                if wide and isinstance(x, tensor) and x.dtype is NARROW:
                    whole = _whole(function, convert)
                    return wrap(computed(item, whole, (other, x), {}))
                return wrap(function(*convert((other, x))[1]))

            made[f"__r{name}__"] = reflected
            made[f"__i{name}__"] = self.in_place(item, SIGNS[name])
        return made

    def _operator(self, item: Op) -> Callable[..., Any]:
        function, wrap, tensor = item.function, self.wrap, self.tensor
        compares, wide = item.operator not in SIGNS, is_wide(item)

        def direct(x: Any, other: Any) -> Any:
            # This is a part of every eager operation, so most tensors are done at once.
            if (
                isinstance(other, tensor)
                and x._base is None
                and other._base is None
                and x._pending is None
                and other._pending is None
                and context.trace is None
            ):
                v, w = x._value, other._value
                if v.shape == w.shape and v.dtype is w.dtype and v.dtype is not NARROW:
                    return wrap(function(v, w))
            elif compares and (other is None or isinstance(other, str)):
                return NotImplemented
            v, w = operands(x, other)
            if v.dtype is NARROW and wide:
                whole = _whole(function, lambda args: (None, operands(*args)))
                return wrap(computed(item, whole, (x, other), {}))
            return wrap(function(v, w))

        return direct


def _whole(function: Callable[..., Any], convert: Callable[..., Any]) -> Any:
    """Return a function of values as one of a call's arguments, converted to values."""
    return lambda *args, **kwargs: function(*convert(args)[1], **kwargs)
