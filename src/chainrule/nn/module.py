"""The Module class: parameters, submodules, their names, and a forward function."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Self, TypeVar

import numpy as np

from chainrule.errors import ArgumentError, MissingAttributeError
from chainrule.functions.from_numpy import SharedTensor
from chainrule.graph.calls import Call
from chainrule.graph.context import changes, context
from chainrule.methods.conversion import tensor_dtype
from chainrule.nn import construction
from chainrule.nn.arguments import flag, floating
from chainrule.nn.attribute_checks import (
    check_argument,
    check_attribute,
    check_name,
    check_unchanged_in_trace,
    computed_attribute,
    recursion_error,
)
from chainrule.nn.hooks import ModuleHooks
from chainrule.nn.parameter import Parameter
from chainrule.nn.shown import Shown
from chainrule.nn.state import IncompatibleKeys, convert_state, load_state
from chainrule.nn.state_array import state_array
from chainrule.operations.device import is_device
from chainrule.random.generator import draw_counts, take_back_draws
from chainrule.tensor import Tensor
from chainrule.tensor import tensor as new_tensor
from chainrule.text import _
from chainrule.util.blocks import opened, settle
from chainrule.util.keywords import strict_function
from chainrule.util.pytorch_hints import MODULES

__all__ = ["Module", "Parameter"]


def _count_change() -> None:
    """Count a change of any module, so that compiled functions check their modules."""
    if context.trace is None:
        changes.count += 1


P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class SupportsForward(Protocol[P, R]):
    """A module, for type checkers: what a call of it takes and gives is forward's."""

    def forward(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compute the module's output from its inputs."""
        ...


class Module(ModuleHooks, Shown):
    """Base class of layers and networks, with parameters and a ``forward`` method.

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
    #: Attributes that are computed from others whenever they are read: ``nn.utils``.
    _computed: Mapping[str, Callable[[Any], Tensor]] = {}
    #: Whether an argument that is set later is checked as the constructor checks it:
    #: of layers whose state is their arguments alone.
    _checks_later_arguments: bool = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Create a module, and store the arguments of its constructor."""
        module = super().__new__(cls)
        module.__dict__["_arguments"] = construction.captured(cls, args, kwargs)
        if context.trace is not None:
            module.__dict__["_made_in"] = weakref.ref(context.trace)
        return module

    __new__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("cls", inspect.Parameter.POSITIONAL_ONLY)]
    )

    def __init__(self) -> None:
        pass

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_made_in"}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's output from its inputs; every module defines this."""
        raise ArgumentError(
            _("{kind} has no forward().", kind=type(self).__name__),
            expected=_("a method forward(self, x)"),
            fix=_("define it in the class"),
        )

    def __call__(self: SupportsForward[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the module: run ``forward``, with graph nodes in the module's scope."""
        module: Any = self
        here = context.__dict__
        outer, name, before = here["scope"], module._name, None
        blocks = opened.top
        path = f"{outer}.{name}" if outer and name else outer or name
        if here["trace"] is not None:
            here["trace"].note_mode(module)
            path = Call(path, outer, type(module).__name__, module._is_one_step())
        elif not outer:
            before = draw_counts()
        try:
            here["scope"] = path
            if module._hooks is not None:
                return module._forward_with_hooks(*args, **kwargs)
            return self.forward(*args, **kwargs)
        except BaseException as error:
            settle(blocks)
            if before is not None:
                take_back_draws(before)
            if isinstance(error, RecursionError):
                raise recursion_error(type(self).__name__) from None
            raise
        finally:
            here["scope"] = outer

    # -- attributes ------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "training":
            self._set_mode(flag(type(self).__name__, name, value))
            return
        check_unchanged_in_trace(self, name, value)
        if name in self._computed:
            raise computed_attribute(self, name)
        if isinstance(value, Module):
            value._set_name(name)
        elif not isinstance(value, Parameter):
            check_attribute(self, name, value)
        old = self.__dict__.get(name)
        if name in self._arguments and name in self.__dict__:
            if self._checks_later_arguments:
                check_argument(self, name, value)
            if old is not None:
                self._update_argument(name, old, value)
        object.__setattr__(self, name, value)
        _count_change()

    def __delattr__(self, name: str) -> None:
        check_unchanged_in_trace(self, name, ...)
        object.__delattr__(self, name)
        _count_change()

    if not TYPE_CHECKING:  # type checkers know the names

        def __getattr__(self, name: str) -> Any:
            if name in self.__dict__.get("_computed", ()):
                return self._computed[name](self)
            text = _(
                "{kind!r} object has no attribute {name!r}",
                kind=type(self).__name__,
                name=name,
            )
            fix = MODULES.get(name, "")
            raise MissingAttributeError(text, fix=fix, name=name, obj=self)

    def _update_argument(self, name: str, old: Any, value: Any) -> None:
        """Update a module's stored constructor argument if its attribute changes."""
        arguments = self._arguments
        plain = bool | int | float | str | tuple | list | None
        if isinstance(old, plain) and isinstance(value, plain):
            before, new = construction.described(old), construction.described(value)
            if arguments[name] == before:
                self.__dict__["_arguments"] = {**arguments, name: new}

    def _compute(self, name: str, rule: Callable[[Any], Tensor] | None) -> None:
        """Compute an attribute by a rule whenever it is read; None: no longer."""
        rest = {key: item for key, item in self._computed.items() if key != name}
        self.__dict__["_computed"] = rest if rule is None else {**rest, name: rule}
        _count_change()

    def _set_name(self, name: str) -> None:
        """Set the module's name, the attribute under which another module holds it."""
        self.__dict__["_name"] = name

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Register a buffer of the module: a tensor that is saved but not trained.

        Args:
            name: of the attribute.
            tensor: numbers, or None.
            persistent: whether it is part of the ``state_dict``.
        """
        check_name(self, name)
        if tensor is not None and (
            not isinstance(tensor, Tensor) or isinstance(tensor, SharedTensor)
        ):
            tensor = new_tensor(tensor)
        setattr(self, name, tensor)
        self.__dict__["_buffers"] = self._buffers | {name}
        others = self._transient - {name}
        self.__dict__["_transient"] = others if persistent else others | {name}

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Register a parameter of the module by name, as assigning it does."""
        check_name(self, name)
        if param is not None and not isinstance(param, Parameter):
            raise ArgumentError(
                _("{name} shall be a parameter.", name=name),
                expected=_("nn.Parameter(numbers), or None"),
                got=type(param).__name__,
            )
        setattr(self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """Register a submodule of the module by name, as assigning it does."""
        check_name(self, name)
        setattr(self, name, module)

    # -- what it holds -----------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the module's direct submodules by name, shared ones by each name."""
        for name, item in self.__dict__.items():
            if isinstance(item, Module):
                yield name, item

    def children(self) -> Iterator[Module]:
        """Return an iterator over the module's direct submodules, each once."""
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
        """Return the module's submodule at a path, ``encoder.0``; "" is the root."""
        modules = dict(self.named_modules())
        if target not in modules:
            raise ArgumentError(
                _(
                    "{kind} has no module {target!r:.80}.",
                    kind=type(self).__name__,
                    target=target,
                ),
                expected=_("one of {known}", known=", ".join(filter(None, modules))),
                got=f"{target!r:.80}",
            )
        return modules[target]

    def apply(self, function: Callable[[Module], object]) -> Self:
        """Call a function with the module and every submodule; return the module.

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
        """Yield the module's parameters, buffers and other tensors, by path.

        Args:
            prefix: in front of all paths.
            recurse: whether those of inner modules come too.
            remove_duplicate: whether a shared one comes by its first path alone.
        """
        for path, __, t in self._tensors(prefix, recurse, remove_duplicate):
            yield path, t

    def _named_state(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield the module's parameters and buffers by path, as for a state_dict."""
        for path, owner, t in self._tensors(prefix, recurse, remove_duplicate):
            if isinstance(t, Parameter) or path.rpartition(".")[2] in owner._buffers:
                yield path, t

    def _tensors(
        self, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Module, Tensor]]:
        """Yield (path, owner, tensor) for all tensors of a module and submodules."""
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
        """Yield the module's parameters by path; see :meth:`named_tensors`."""
        for name, t in self.named_tensors(prefix, recurse, remove_duplicate):
            if isinstance(t, Parameter):
                yield name, t

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield the module's buffers by path; see :meth:`named_tensors`."""
        for name, t in self._named_state(prefix, recurse, remove_duplicate):
            if not isinstance(t, Parameter):
                yield name, t

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Return an iterator over the module's parameters."""
        return (p for __, p in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Return an iterator over the module's buffers."""
        return (t for __, t in self.named_buffers(recurse=recurse))

    # -- its numbers -------------------------------------------------------------------

    def _persistent(self) -> dict[str, Tensor]:
        """Return the tensors of the module's ``state_dict``, shared ones repeatedly."""
        return {
            path: t
            for path, owner, t in self._tensors("", True, False)
            if (name := path.rpartition(".")[2]) not in owner._transient
            and (isinstance(t, Parameter) or name in owner._buffers)
        }

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the values of the module's parameters and buffers, by PyTorch's names.

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

    @strict_function
    def load_state_dict(
        self, state: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Load the module's parameters and buffers from a (PyTorch) ``state_dict``.

        Nothing is changed unless all names and shapes fit. A shared tensor may come by
        any of its names.

        Args:
            state: arrays or tensors by name.
            strict: whether names that are missing or unknown are refused.

        Returns:
            Those names: ``missing_keys`` and ``unexpected_keys``.
        """
        return load_state(self._persistent(), state, strict)

    @strict_function
    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: Any = False,
    ) -> Self:
        """Convert the module's parameters and buffers to a floating dtype, in place.

        Gradients are forgotten. All tensors are on the CPU, so ``to("cpu")`` does
        nothing.

        Args:
            args: a dtype, a device, both, or a tensor that has them.
            dtype, device: the same by name.
            non_blocking: without an effect on the CPU.

        >>> from chainrule import nn
        >>> nn.Linear(2, 3).to("cpu", "float64").weight.dtype.name
        'float64'
        """
        for argument in (*args, device):
            if isinstance(argument, Tensor):
                dtype = argument.dtype
            elif argument is not None and not isinstance(argument, bool):
                dtype = dtype if is_device(argument) else argument
        if dtype is None:
            return self
        wanted = floating(f"{type(self).__name__}.to", dtype)
        check_unchanged_in_trace(self, "dtype", wanted)
        for module in self.modules():
            convert_state(module, wanted)
        _count_change()
        return self

    def float(self) -> Self:
        """Convert the module's parameters and buffers to float32, in place."""
        return self.to("float32")

    def double(self) -> Self:
        """Convert the module's parameters and buffers to float64, in place."""
        return self.to("float64")

    def bfloat16(self) -> Self:
        """Round the module's parameters and buffers to bfloat16, in place.

        >>> from chainrule import nn
        >>> nn.Linear(2, 3).bfloat16().weight.dtype.name
        'bfloat16'
        """
        return self.to("bfloat16")

    def type(self, dst_type: Any) -> Self:
        """Convert as :meth:`to` does, to a dtype or a type such as ``DoubleTensor``."""
        return self.to(tensor_dtype(dst_type))

    def cpu(self) -> Self:
        """Return the module itself, which is always on the CPU."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Raise an error: GPUs are not supported."""
        is_device("cuda")
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Enable or disable gradients of all parameters of the module (freezing)."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of the module's parameters, as ``Tensor.zero_grad``."""
        for p in self.parameters():
            p.zero_grad(set_to_none)

    # -- its mode ----------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Switch the module and all submodules to training mode."""
        mode = flag(f"{type(self).__name__}.train", "mode", mode)
        for __, module in self.named_modules():
            module._set_mode(mode)
        return self

    def eval(self) -> Self:
        """Switch the module to prediction mode, in which dropout has no effect."""
        return self.train(False)

    def _set_mode(self, mode: bool) -> None:
        self._note_mode()
        if self.training is not mode:
            self.__dict__["training"] = mode
            _count_change()

    def _note_mode(self) -> None:
        """Note that a trace depends on the module's training or prediction mode."""
        if context.trace is not None:
            context.trace.note_mode(self)

    # -- what it is --------------------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """Return the module's constructor arguments, defaults included, as JSON.

        An attribute that held its argument and was changed since counts as it is now.
        Modules are ``{"class", "arguments"}``, arrays are lists, and what JSON has not
        is given by its ``repr``.

        >>> from chainrule import nn
        >>> nn.Hardshrink(0.2).settings()
        {'lambd': 0.2}
        """
        settings: dict[str, Any] = {}
        for name, value in self._arguments.items():
            now = self.__dict__.get(name, self)
            buffer = isinstance(now, Tensor) and not isinstance(now, Parameter)
            if buffer and not isinstance(value, bool | str | Module | None):
                value = now  # such as class weights, which are state
            elif isinstance(value, bool) and (now is None or isinstance(now, Tensor)):
                value = now is not None  # such as bias=True
            settings[name] = construction.described(value)
        return settings
