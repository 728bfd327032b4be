"""Modules: parameters, names and a forward function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, ValuesView
from typing import Any, overload

import numpy as np

from chainrule.errors import ArgumentError, ShapeError, warn
from chainrule.graph.build import changes, context, scope
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor


class Parameter(Tensor):
    """A tensor that training changes; modules find it among their attributes."""

    __slots__ = ()

    def __init__(self, data: Any, *, dtype: Any = None) -> None:
        super().__init__(data, dtype=dtype, requires_grad=True)


class Module:
    """Base of layers and networks.

    Parameters and modules that are assigned to attributes are found, in that order,
    under the attributes' names. Names of nested modules are joined by dots, as in
    PyTorch: ``encoder.0.weight``.

    >>> from chainrule import nn
    >>> class Twice(nn.Module):
    ...     def __init__(self):
    ...         self.layer = nn.Linear(3, 3)
    ...     def forward(self, x):
    ...         return self.layer(self.layer(x))
    >>> [name for name, _ in Twice().named_parameters()]
    ['layer.weight', 'layer.bias']
    """

    training: bool = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every module defines this."""
        raise ArgumentError(
            f"{type(self).__name__} has no forward().",
            expected="a method forward(self, x)",
            fix="define it in the class",
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward``; what it records belongs to this module's scope."""
        self._note_mode()
        with scope(self.__dict__.get("_name", "")):
            return self.forward(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Module):
            value.__dict__["_name"] = name
        elif not isinstance(value, Parameter):
            self._check_attribute(name, value)
        object.__setattr__(self, name, value)
        changes.count += 1

    def _check_attribute(self, name: str, value: Any) -> None:
        """Refuse a parameter's end, and warn of modules that would not be found."""
        kind = type(self).__name__
        if isinstance(self.__dict__.get(name), Parameter) and value is not None:
            raise ArgumentError(
                f"{kind}.{name} is a parameter, which training changes.",
                expected="a Parameter in its place, or None",
                got=type(value).__name__,
                fix=f"module.{name}.copy_(numbers) for other numbers, or "
                f"module.{name} = nn.Parameter(numbers)",
            )
        if isinstance(value, Tensor) and value.is_leaf and value.requires_grad:
            warn(
                f"{kind}.{name} is no Parameter: it has a gradient, and no "
                "optimiser finds it.",
                expected="a Parameter, or a tensor without a gradient",
                got="a tensor with requires_grad=True",
                fix=f"self.{name} = nn.Parameter(numbers)",
            )
        if isinstance(value, dict):
            value = value.values()
        if isinstance(value, list | tuple | set | ValuesView) and any(
            isinstance(item, Module) for item in value
        ):
            warn(
                f"{kind}.{name} holds modules that {kind} does not find: their "
                "parameters are neither trained nor saved.",
                expected="modules as attributes, or within one",
                got="a list, tuple or dictionary",
                fix=f"self.{name} = nn.Sequential(*modules): it is iterated and "
                "indexed like a list",
            )

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly within this one, by name; a shared one by each name."""
        for name, item in self.__dict__.items():
            if isinstance(item, Module):
                yield name, item

    def children(self) -> Iterator[Module]:
        """The modules directly within this one, each once."""
        return iter({id(m): m for _, m in self.named_children()}.values())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all within it; the root's path is empty.

        A shared module comes by each of its paths, for it may be called by each.
        """
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        """This module and all within it, each once."""
        return iter({id(m): m for _, m in self.named_modules()}.values())

    def apply(self, function: Callable[[Module], object]) -> Module:
        """Call a function with every module, the inner ones first; returns this one.

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

    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Parameters and buffers by path, each once."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, item in module.__dict__.items():
                if isinstance(item, Tensor) and id(item) not in seen:
                    seen.add(id(item))
                    yield f"{path}.{name}" if path else name, item

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Parameters by path, each once; graphs show them under that name."""
        for name, item in self.named_tensors():
            if isinstance(item, Parameter):
                item.name = name
                yield name, item

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Tensors that are kept with the module and not trained, by path, each once."""
        for name, item in self.named_tensors():
            if not isinstance(item, Parameter):
                yield name, item

    def buffers(self) -> Iterator[Tensor]:
        """Buffers in the order of their names."""
        return (t for _, t in self.named_buffers())

    def parameters(self) -> Iterator[Parameter]:
        """Parameters in the order of their names."""
        return (p for _, p in self.named_parameters())

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of all parameters and buffers, with PyTorch's names and shapes."""
        return {name: np.array(t.numpy()) for name, t in self.named_tensors()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over parameters and buffers, from a ``state_dict`` of ours or PyTorch's.

        Nothing is changed unless all names and shapes fit.
        """
        own = dict(self.named_tensors())
        missing, extra = own.keys() - state.keys(), state.keys() - own.keys()
        if missing or extra:
            raise ArgumentError(
                "The state_dict belongs to another architecture.",
                expected=", ".join(own),
                got=f"missing {sorted(missing)}, unknown {sorted(extra)}",
            )
        arrays = {name: np.asarray(state[name]) for name in own}
        for name, t in own.items():
            if arrays[name].shape != t.shape:
                raise ShapeError(
                    f"{name} has another shape in the state_dict.",
                    expected=show(t.shape),
                    got=show(arrays[name].shape),
                )
        for name, t in own.items():
            t.copy_(Tensor(arrays[name]))

    def train(self, mode: bool = True) -> Module:
        """Switch this module and all within it to training behaviour."""
        for _, module in self.named_modules():
            module._note_mode()
            module.__dict__["training"] = mode
        changes.count += 1
        return self

    def _note_mode(self) -> None:
        """A trace depends on the mode that this module had when it began."""
        if context.trace is not None:
            context.trace.note_mode(self)

    def eval(self) -> Module:
        """Switch to the behaviour for prediction: dropout passes everything."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.parameters():
            p.grad = None

    def takes_indices(self) -> bool:
        """Whether the input is the numbers of rows: integers that stay integers.

        What trains the module leaves such an input as it is; any other it converts to
        the dtype of the parameters.
        """
        return False

    def settings(self) -> dict[str, Any]:
        """The arguments that make such a module anew, for repr and checkpoints."""
        return {}

    def __repr__(self) -> str:
        inner = [
            f"  ({n}): {m!r}".replace("\n", "\n  ") for n, m in self.named_children()
        ]
        if not inner:
            arguments = ", ".join(f"{k}={v}" for k, v in self.settings().items())
            return f"{type(self).__name__}({arguments})"
        return "\n".join([f"{type(self).__name__}(", *inner, ")"])


class Sequential(Module):
    """Modules one after the other: x → f_L(… f₂(f₁(x))) (2.3.2).

    >>> from chainrule import nn
    >>> nn.Sequential(nn.Linear(2, 2), nn.Sigmoid())
    Sequential(
      (0): Linear(in_features=2, out_features=2, bias=True)
      (1): Sigmoid()
    )
    """

    def __init__(self, *modules: Module) -> None:
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise ArgumentError(
                    f"Sequential's item {i} is not a module.",
                    expected="nn.Linear(…), nn.ReLU(), …",
                    got=f"{module!r:.80}",
                    fix="nn.Sequential(*layers) for a list of layers"
                    if isinstance(module, list | tuple)
                    else "write nn.ReLU() with parentheses",
                )
            setattr(self, str(i), module)

    def forward(self, x: Any) -> Any:
        """Apply the modules in order."""
        for module in self:
            x = module(x)
        return x

    def takes_indices(self) -> bool:
        """Whether the first module does."""
        return next((m.takes_indices() for m in self), False)

    def __len__(self) -> int:
        return sum(1 for _ in self.named_children())

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.named_children())

    @overload
    def __getitem__(self, index: int) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> Sequential: ...

    def __getitem__(self, index: int | slice) -> Module:
        """One module; of a slice a network that shares its modules with this one."""
        chosen = list(self)[index]
        if isinstance(chosen, Module):
            return chosen
        part = Sequential()
        # They keep the names that they have here: graphs and streams are named by them.
        part.__dict__.update((str(i), module) for i, module in enumerate(chosen))
        part.__dict__["training"] = self.training
        return part
