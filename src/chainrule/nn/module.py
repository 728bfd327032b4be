"""The Module class: parameters, submodules, their names, and a forward function."""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from chainrule.errors import (
    ArgumentError,
    MissingAttributeError,
    ShapeError,
    warn,
)
from chainrule.functions.from_numpy import SharedTensor
from chainrule.graph.build import changes, context
from chainrule.graph.types import DType
from chainrule.nn import construction
from chainrule.nn.arguments import flag, floating
from chainrule.nn.state_array import state_array
from chainrule.operations.arguments import is_device
from chainrule.primitives.rules import show
from chainrule.random import draw_counts, take_back_draws
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.pytorch_hints import MODULES


class Parameter(Tensor):
    """A trainable tensor, which modules find among their attributes.

    Args:
        data: its numbers, which are copied.
        requires_grad: False for one that is not trained now.
        dtype: to convert to.
    """

    __slots__ = ()

    def __init__(
        self, data: Any, requires_grad: bool = True, *, dtype: Any = None
    ) -> None:
        wanted = flag("Parameter", "requires_grad", requires_grad)
        super().__init__(data, dtype=dtype, requires_grad=wanted)

    def __reduce__(self) -> Any:
        """Return the pickled form, without the gradient, as in PyTorch."""
        make, (kind, array, tracked, __, *rest) = super().__reduce__()
        return make, (kind, array, tracked, None, *rest)


def _count() -> None:
    """Count a change of a module, so that compiled functions check their modules."""
    if context.trace is None:
        changes.count += 1


class IncompatibleKeys(NamedTuple):
    """The missing and the unexpected names of a call of ``load_state_dict``.

    Attributes:
        missing_keys: what the module has and the ``state_dict`` has not.
        unexpected_keys: the other way round.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """Base class of layers and networks.

    Parameters and modules that are assigned to attributes are found, in that order,
    under the attributes' names. Other tensors are attributes like any other: what shall
    be saved and not trained is a buffer, see :meth:`register_buffer`. Names of nested
    modules are joined by dots, as in PyTorch: ``encoder.0.weight``.

    What the constructor was called with is known: :meth:`settings`, ``repr`` and
    checkpoints have it from the call itself.

    While a function is compiled, a module that comes from outside of it stays as it is:
    assignments to its attributes are refused, for they would happen once and not at
    each call. State changes by ``self.state.copy_(new)``.

    >>> from chainrule import nn
    >>> class Twice(nn.Module):
    ...     def __init__(self, width, slope=0.01):
    ...         self.layer = nn.Linear(width, width)
    ...     def forward(self, x):
    ...         return self.layer(self.layer(x))
    >>> [name for name, _ in Twice(3).named_parameters()]
    ['layer.weight', 'layer.bias']
    >>> Twice(3).settings()
    {'width': 3, 'slope': 0.01}
    """

    training: bool = True
    _arguments: dict[str, Any]
    _name: str = ""
    _buffers: frozenset[str] = frozenset()
    _transient: frozenset[str] = frozenset()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Create a module, and store the arguments of its constructor."""
        made = super().__new__(cls)
        made.__dict__["_arguments"] = construction.captured(cls, args, kwargs)
        if context.trace is not None:
            made.__dict__["_made_in"] = weakref.ref(context.trace)
        return made

    __new__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("cls", inspect.Parameter.POSITIONAL_ONLY)]
    )

    def __init__(self) -> None:
        pass

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_made_in"}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every module defines this."""
        raise ArgumentError(
            _("{kind} has no forward().", kind=type(self).__name__),
            expected=_("a method forward(self, x)"),
            fix=_("define it in the class"),
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward``, with graph nodes recorded in the module's scope."""
        here = context.__dict__
        outer, name, before = here["scope"], self._name, None
        if here["trace"] is not None:
            here["trace"].note_mode(self)
        elif not outer:
            before = draw_counts()
        try:
            here["scope"] = f"{outer}.{name}" if outer and name else outer or name
            return self.forward(*args, **kwargs)
        except BaseException as error:
            if before is not None:
                take_back_draws(before)
            if isinstance(error, RecursionError):
                raise _too_deep(type(self).__name__) from None
            raise
        finally:
            here["scope"] = outer

    # -- attributes ------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "training":
            self._switch(flag(type(self).__name__, name, value))
            return
        self._may_change(name, value)
        if isinstance(value, Module):
            value._take_name(name)
        elif not isinstance(value, Parameter):
            self._check_attribute(name, value)
        old = self.__dict__.get(name)
        if old is not None and name in self._arguments:
            self._follow(name, old, value)
        object.__setattr__(self, name, value)
        _count()

    def __delattr__(self, name: str) -> None:
        self._may_change(name, ...)
        object.__delattr__(self, name)
        _count()

    if not TYPE_CHECKING:  # type checkers know the names

        def __getattr__(self, name: str) -> Any:
            text = _(
                "{kind!r} object has no attribute {name!r}",
                kind=type(self).__name__,
                name=name,
            )
            fix = MODULES.get(name, "")
            raise MissingAttributeError(text, fix=fix, name=name, obj=self)

    def _may_change(self, name: str, value: Any) -> None:
        """Refuse, during tracing, to change a module from outside the function."""
        trace, old = context.trace, self.__dict__.get(name, self)
        if trace is None or value is old:
            return
        made_in = self.__dict__.get("_made_in")
        plain = isinstance(value, bool | int | float | str) and type(value) is type(old)
        if (made_in is not None and made_in() is trace) or (plain and value == old):
            return
        raise ArgumentError(
            _(
                "{kind}.{name} is set in a function that is compiled: that would "
                "happen once, and not at each call.",
                kind=type(self).__name__,
                name=name,
            ),
            expected=_("attributes that stay as they are; state changes in place"),
            got=f"self.{name} = {type(value).__name__}",
            fix=f"self.{name}.copy_(new)"
            if isinstance(old, Tensor)
            else _(
                "self.{name} = cr.tensor(…) in the constructor and "
                "self.{name}.copy_(new) here; what forward() computes is "
                "returned",
                name=name,
            ),
        )

    def _follow(self, name: str, old: Any, value: Any) -> None:
        """Update a stored constructor argument when its attribute changes."""
        plain, given = bool | int | float | str | tuple | list | None, self._arguments
        if isinstance(old, plain) and isinstance(value, plain):
            before, new = construction.described(old), construction.described(value)
            if given[name] == before:
                self.__dict__["_arguments"] = {**given, name: new}

    def _take_name(self, name: str) -> None:
        """Set the module's name, its attribute name in another module."""
        self.__dict__["_name"] = name

    def _check_attribute(self, name: str, value: Any) -> None:
        """Refuse to replace a parameter; warn of objects not found later."""
        kind = type(self).__name__
        if isinstance(self.__dict__.get(name), Parameter) and value is not None:
            raise ArgumentError(
                _(
                    "{kind}.{name} is a parameter, which training changes.",
                    kind=kind,
                    name=name,
                ),
                expected=_("a Parameter in its place, or None"),
                got=type(value).__name__,
                fix=_(
                    "module.{name}.copy_(numbers) for other numbers, or "
                    "module.{name} = nn.Parameter(numbers)",
                    name=name,
                ),
            )
        if isinstance(value, Tensor) and value.is_leaf and value.requires_grad:
            warn(
                _(
                    "{kind}.{name} is no Parameter: it has a gradient, and no "
                    "optimiser finds it.",
                    kind=kind,
                    name=name,
                ),
                expected=_("a Parameter, or a tensor without a gradient"),
                got=_("a tensor with requires_grad=True"),
                fix=f"self.{name} = nn.Parameter(numbers)",
            )
        held = "ModuleDict" if isinstance(value, dict) else "ModuleList"
        if isinstance(value, dict):
            value = value.values()
        if isinstance(value, list | tuple | set | ValuesView) and any(
            isinstance(item, Module) for item in value
        ):
            warn(
                _(
                    "{kind}.{name} holds modules that {kind} does not find: their "
                    "parameters are neither trained nor saved.",
                    kind=kind,
                    name=name,
                ),
                expected=_("modules as attributes, or within one"),
                got=_("a list, tuple or dictionary"),
                fix=f"self.{name} = nn.{held}(modules)",
            )

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Register a buffer: a tensor that is saved and not trained.

        Args:
            name: of the attribute.
            tensor: numbers, or None.
            persistent: whether it is part of the ``state_dict``.
        """
        self._check_name(name)
        if tensor is not None and (
            not isinstance(tensor, Tensor) or isinstance(tensor, SharedTensor)
        ):
            tensor = Tensor(tensor)
        setattr(self, name, tensor)
        self.__dict__["_buffers"] = self._buffers | {name}
        kept = self._transient - {name}
        self.__dict__["_transient"] = kept if persistent else kept | {name}

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Register a parameter under a name, as an assignment does."""
        self._check_name(name)
        if param is not None and not isinstance(param, Parameter):
            raise ArgumentError(
                _("{name} shall be a parameter.", name=name),
                expected=_("nn.Parameter(numbers), or None"),
                got=type(param).__name__,
            )
        setattr(self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """Register a submodule under a name, as an assignment does."""
        self._check_name(name)
        setattr(self, name, module)

    def _check_name(self, name: str) -> None:
        right = isinstance(name, str) and name and "." not in name
        if not right or (hasattr(type(self), name) and name not in self.__dict__):
            raise ArgumentError(
                _("A part of a module needs a name of its own."),
                expected=_("a text without dots that no method has"),
                got=f"{name!r:.80}",
            )

    # -- what it holds -----------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the direct submodules by name, shared ones by each name."""
        for name, item in self.__dict__.items():
            if isinstance(item, Module):
                yield name, item

    def children(self) -> Iterator[Module]:
        """Return an iterator over the direct submodules, each once."""
        return iter({id(m): m for __, m in self.named_children()}.values())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield the module and all submodules by path; the root's is empty.

        A shared module comes by each of its paths, for it may be called by each.
        """
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        """Return an iterator over the module and all submodules, each once."""
        return iter({id(m): m for __, m in self.named_modules()}.values())

    def get_submodule(self, target: str) -> Module:
        """Return the submodule at a path such as ``encoder.0``; "" is the root."""
        found = dict(self.named_modules())
        if target not in found:
            raise ArgumentError(
                _(
                    "{kind} has no module {target!r:.80}.",
                    kind=type(self).__name__,
                    target=target,
                ),
                expected=_("one of {known}", known=", ".join(filter(None, found))),
                got=f"{target!r:.80}",
            )
        return found[target]

    def apply(self, function: Callable[[Module], object]) -> Self:
        """Call a function with every module, submodules first; return the module.

        A shared module comes once for each module that has it.

        >>> from chainrule import nn
        >>> def small(module):
        ...     if isinstance(module, nn.Linear):
        ...         nn.init.normal_(module.weight, std=0.01)
        >>> _ = nn.Sequential(nn.Linear(2, 2), nn.Tanh()).apply(small)
        """
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def named_tensors(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield parameters, buffers and other tensor attributes, by path.

        Args:
            prefix: in front of all paths.
            recurse: whether those of inner modules come too.
            remove_duplicate: whether a shared one comes by its first path alone.
        """
        for path, __, t in self._held(prefix, recurse, remove_duplicate):
            yield path, t

    def _named_state(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield parameters and buffers by path; see :meth:`named_tensors`."""
        for path, owner, t in self._held(prefix, recurse, remove_duplicate):
            if isinstance(t, Parameter) or path.rpartition(".")[2] in owner._buffers:
                yield path, t

    def _held(
        self, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Module, Tensor]]:
        """Yield (path, owner, tensor) for all tensors of the module."""
        seen: set[int] = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, item in module.__dict__.items():
                if isinstance(item, Tensor) and id(item) not in seen:
                    if remove_duplicate:
                        seen.add(id(item))
                    yield f"{path}.{name}" if path else name, module, item

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield parameters by path; see :meth:`named_tensors`."""
        for name, t in self.named_tensors(prefix, recurse, remove_duplicate):
            if isinstance(t, Parameter):
                yield name, t

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield buffers by path; see :meth:`named_tensors`."""
        for name, t in self._named_state(prefix, recurse, remove_duplicate):
            if not isinstance(t, Parameter):
                yield name, t

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Return an iterator over the parameters in the order of their names."""
        return (p for __, p in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Return an iterator over the buffers in the order of their names."""
        return (t for __, t in self.named_buffers(recurse=recurse))

    # -- its numbers -------------------------------------------------------------------

    def _persistent(self) -> dict[str, Tensor]:
        """Return the tensors of a ``state_dict``, shared ones by every path."""
        return {
            path: t
            for path, owner, t in self._held("", True, False)
            if (name := path.rpartition(".")[2]) not in owner._transient
            and (isinstance(t, Parameter) or name in owner._buffers)
        }

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the values of all parameters and buffers, by PyTorch's names.

        The arrays stay what they are; in PyTorch they would change with the module, and
        it with them. So a change of one in place is refused, and a copy is a plain
        array. ``module.weight.data *= 0.9`` or ``load_state_dict`` change the module.

        >>> from chainrule import nn
        >>> module = nn.Linear(2, 3)
        >>> halved = {k: 0.5 * v for k, v in module.state_dict().items()}
        >>> module.load_state_dict(halved)
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])

        Raises:
            ArgumentError: later, when an array of it is changed in place.
        """
        return {name: state_array(t.numpy()) for name, t in self._persistent().items()}

    def load_state_dict(
        self, state: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Load parameters and buffers from Chainrule's or PyTorch's state_dict.

        Nothing is changed unless all names and shapes fit. A shared tensor may come by
        any of its names.

        Args:
            state: arrays or tensors by name.
            strict: whether names that are missing or unknown are refused.

        Returns:
            Those names: ``missing_keys`` and ``unexpected_keys``.
        """
        own = self._persistent()
        unknown = [name for name in state if name not in own]
        given = {id(own[name]) for name in state if name in own}
        missing = [name for name, t in own.items() if id(t) not in given]
        if strict and (missing or unknown):
            raise ArgumentError(
                _("The state_dict belongs to another architecture."),
                expected=", ".join(own),
                got=_(
                    "missing {missing}, unknown {unknown}",
                    missing=missing,
                    unknown=unknown,
                ),
                fix=_("strict=False takes what fits"),
            )
        wanted: dict[int, tuple[Tensor, np.ndarray[Any, Any]]] = {}
        for name, t in own.items():
            if name not in state:
                continue
            array = np.asarray(state[name])
            if array.shape != t.shape:
                raise ShapeError(
                    _("{name} has another shape in the state_dict.", name=name),
                    expected=show(t.shape),
                    got=show(array.shape),
                )
            known = wanted.setdefault(id(t), (t, array))[1]
            if known is not array and not np.array_equal(known, array, equal_nan=True):
                raise ArgumentError(
                    _(
                        "{name} is shared by several modules, and the state_dict "
                        "has other numbers for it under another name.",
                        name=name,
                    ),
                    expected=_("the same numbers under each name"),
                )
        for t, made in [(t, Tensor(array)) for t, array in wanted.values()]:
            t.copy_(made)
        return IncompatibleKeys(missing, unknown)

    def to(self, dtype: Any) -> Self:
        """Convert floating-point parameters and buffers to another dtype, in place.

        Gradients are forgotten. All tensors are on the CPU, so ``to("cpu")`` does
        nothing.

        >>> from chainrule import nn
        >>> nn.Linear(2, 3).to("float64").weight.dtype.name
        'float64'
        """
        if is_device(dtype):
            return self
        wanted = floating(f"{type(self).__name__}.to", dtype)
        self._may_change("dtype", wanted)
        for module in self.modules():
            for name, t in module.__dict__.items():
                kept = isinstance(t, Parameter) or name in module._buffers
                if kept and isinstance(t, Tensor) and t.dtype.is_float:
                    array = t.numpy().astype(wanted.numpy)
                    t._leave()  # its views keep the numbers that they have
                    t._replace(array)
                    t.grad, t.version = None, t.version + 1
            if "dtype" in module._arguments:
                settings = {**module._arguments, "dtype": wanted.name}
                module.__dict__["_arguments"] = settings
            if isinstance(module.__dict__.get("dtype"), DType):
                module.__dict__["dtype"] = wanted
        _count()
        return self

    def float(self) -> Self:
        """Convert floating-point parameters and buffers to float32, in place."""
        return self.to("float32")

    def double(self) -> Self:
        """Convert floating-point parameters and buffers to float64, in place."""
        return self.to("float64")

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Enable or disable the gradients of all parameters (freezing)."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear all gradients, see :meth:`Tensor.zero_grad`."""
        for p in self.parameters():
            p.zero_grad(set_to_none)

    # -- its mode ----------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Switch the module and all submodules to training mode."""
        mode = flag(f"{type(self).__name__}.train", "mode", mode)
        for __, module in self.named_modules():
            module._switch(mode)
        return self

    def eval(self) -> Self:
        """Switch to prediction mode, in which for instance dropout has no effect."""
        return self.train(False)

    def _switch(self, mode: bool) -> None:
        self._note_mode()
        if self.training is not mode:
            self.__dict__["training"] = mode
            _count()

    def _note_mode(self) -> None:
        """Note that a trace depends on the module's current mode."""
        if context.trace is not None:
            context.trace.note_mode(self)

    # -- what it is --------------------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """Return the constructor arguments, defaults included, as JSON.

        An attribute that held its argument and was changed since counts as it is now.
        Modules are ``{"class", "arguments"}``, arrays are lists, and what JSON has not
        is given by its ``repr``.

        >>> from chainrule import nn
        >>> nn.LeakyReLU(0.2).settings()
        {'negative_slope': 0.2}
        """
        made: dict[str, Any] = {}
        for name, value in self._arguments.items():
            now = self.__dict__.get(name, self)
            buffer = isinstance(now, Tensor) and not isinstance(now, Parameter)
            if buffer and not isinstance(value, bool | str | Module | None):
                value = now  # such as class weights, which are state
            elif isinstance(value, bool) and (now is None or isinstance(now, Tensor)):
                value = now is not None  # such as bias=True
            made[name] = construction.described(value)
        return made

    def extra_repr(self) -> str:
        """Return the arguments that ``repr`` shows in brackets."""
        return construction.shown(self)

    def __repr__(self) -> str:
        inner = [
            f"  ({n}): {m!r}".replace("\n", "\n  ") for n, m in self.named_children()
        ]
        extra = self.extra_repr()
        if not inner:
            return f"{type(self).__name__}({extra})"
        lines = [f"  {extra}"] if extra else []
        return "\n".join([f"{type(self).__name__}(", *lines, *inner, ")"])


def _too_deep(kind: str) -> ArgumentError:
    return ArgumentError(
        _("{kind} calls modules within modules, further than Python goes.", kind=kind),
        expected=_("a few hundred calls within each other at most"),
        got=_(
            "Python's limit of {getrecursionlimit} calls",
            getrecursionlimit=sys.getrecursionlimit(),
        ),
        fix=_(
            "one flat nn.Sequential(*layers) instead of nested ones, and no "
            "forward() that calls itself; or a higher sys.setrecursionlimit(…)"
        ),
    )
