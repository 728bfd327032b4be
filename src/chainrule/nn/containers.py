"""Containers of modules: a sequence, a list and a dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, overload

from chainrule.errors import ArgumentError
from chainrule.nn.attribute_checks import check_name
from chainrule.nn.module import Module
from chainrule.nn.shapes import Steps
from chainrule.tensor import Tensor
from chainrule.text import _

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


def _checked(kind: str, name: Any, module: Any) -> Module:
    if isinstance(module, Module):
        return module
    raise ArgumentError(
        _("{kind}'s item {name} is not a module.", kind=kind, name=name),
        expected="nn.Linear(…), nn.ReLU(), …",
        got=f"{module!r:.80}",
        fix=_("nn.{kind}(*layers) for a list of layers", kind=kind)
        if isinstance(module, list | tuple)
        else _("write nn.ReLU() with parentheses"),
    )


class _Container(Module):
    """Base class of containers of named modules, in order."""

    def __len__(self) -> int:
        return sum(1 for __ in self.named_children())

    def _fill(self, modules: Mapping[str, Any]) -> None:
        """Replace all modules of a module container."""
        kind = type(self).__name__
        checked = {name: _checked(kind, name, m) for name, m in modules.items()}
        for name, __ in list(self.named_children()):
            delattr(self, name)
        for name, module in checked.items():
            check_name(self, name)
            setattr(self, name, module)

    def settings(self) -> dict[str, Any]:
        """Return the JSON descriptions of the modules of a container, by name."""
        return {
            name: {"class": type(m).__name__, "arguments": m.settings()}
            for name, m in self.named_children()
        }

    def extra_repr(self) -> str:
        """Return an empty text, because a container's ``repr`` lists its modules."""
        return ""


class _Row(_Container):
    """Base class of module containers that are lists: modules with numbers as names."""

    def append(self, module: Module) -> Self:
        """Append a module to the container."""
        self.add_module(str(len(self)), _checked(type(self).__name__, "", module))
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Append several modules to the container."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Insert a module into the container before an index."""
        modules = list(self)
        modules.insert(index, module)
        self._number(modules)
        return self

    def _number(self, modules: Iterable[Any]) -> None:
        names = [name for name, __ in self.named_children()]
        if names != [str(i) for i in range(len(names))]:
            raise ArgumentError(
                _("Modules with names of their own have no numbers that could move."),
                expected=_("modules called 0, 1, …"),
                got=", ".join(names),
                fix=_("make a new one of a dictionary in the order that you want"),
            )
        self._fill({str(i): module for i, module in enumerate(modules)})

    def __iter__(self) -> Iterator[Module]:
        return (module for __, module in self.named_children())

    def __setitem__(self, index: int, module: Module) -> None:
        name = [name for name, __ in self.named_children()][index]
        setattr(self, name, _checked(type(self).__name__, index, module))

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        del modules[index]
        self._number(modules)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Any:
        """Return the container's module at an index, or a container for a slice."""
        chosen = list(self)[index]
        if isinstance(chosen, Module):
            return chosen
        part = ModuleList() if isinstance(self, ModuleList) else Sequential()
        # They keep the names that they have here: graphs and streams are named by them.
        part.__dict__.update((str(i), module) for i, module in enumerate(chosen))
        part.__dict__["training"] = self.training
        return part


class Sequential(_Row):
    """Modules one after the other: x → f_L(… f₂(f₁(x))) (2.3.2).

    Args:
        modules: the modules, named 0, 1, …; or one dictionary of modules by name.

    >>> from chainrule import nn
    >>> nn.Sequential(nn.Linear(2, 2), nn.Sigmoid()).append(nn.Linear(2, 1, bias=False))
    Sequential(
      (0): Linear(in_features=2, out_features=2)
      (1): Sigmoid()
      (2): Linear(in_features=2, out_features=1, bias=False)
    )
    >>> nn.Sequential({"first": nn.Linear(2, 2), "act": nn.Tanh()}).first.out_features
    2
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            self._fill(modules[0])
        else:
            self._number(modules)

    def forward(self, x: Any) -> Tensor:
        """Apply the container's modules in order, each to the previous output."""
        before: Module | None = None
        for module in self:
            if isinstance(x, tuple) and before is not None:
                _check_takes_several(module, before)
            x, before = module(x), module
        return x


def _check_takes_several(module: Module, before: Module) -> None:
    """Refuse a built-in layer that follows a module with several outputs."""
    kind, other = type(module), type(before).__name__
    takes = kind in (Sequential, Steps)
    if kind.__module__.startswith("chainrule.") and not takes:
        raise ArgumentError(
            _(
                "{name} takes one tensor, and {other} in front of it gives several.",
                name=kind.__name__,
                other=other,
            ),
            expected=_("layers that give one tensor each"),
            got=f"nn.Sequential(…, {other}, {kind.__name__}, …)",
            fix=_(
                'nn.Steps("all") between them takes the output of a recurrent '
                "layer, nn.Steps() its last step"
            ),
        )


class _CalledByOwner(_Container):
    """Base class of module lists and dictionaries, which have no ``forward``.

    So they are named by its path: ``layers.0``.
    """

    def _set_name(self, name: str) -> None:
        super()._set_name(name)
        for key, module in self.named_children():
            module._set_name(f"{name}.{key}")

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, Module) and self._name:
            value._set_name(f"{self._name}.{name}")


class ModuleList(_CalledByOwner, _Row):
    """A list of modules that the module which holds it finds; it is not called itself.

    >>> import chainrule as cr
    >>> from chainrule import nn
    >>> class Deep(nn.Module):
    ...     def __init__(self, depth):
    ...         self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(depth))
    ...     def forward(self, x):
    ...         for layer in self.layers:
    ...             x = layer(x).tanh()
    ...         return x
    >>> len(list(Deep(3).parameters()))
    6
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._number(modules)


class ModuleDict(_CalledByOwner):
    """Modules by name that the module which holds it finds; it is not called itself.

    >>> from chainrule import nn
    >>> heads = nn.ModuleDict({"price": nn.Linear(4, 1), "kind": nn.Linear(4, 3)})
    >>> list(heads), heads["kind"].out_features
    (['price', 'kind'], 3)
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self._fill(modules or {})

    def __getitem__(self, key: str) -> Module:
        modules = dict(self.named_children())
        if key not in modules:
            raise KeyError(key)
        return modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, _checked("ModuleDict", key, module))

    def __delitem__(self, key: str) -> None:
        self[key]  # a KeyError where there is none
        delattr(self, key)

    def __contains__(self, key: object) -> bool:
        return any(name == key for name, __ in self.named_children())

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def keys(self) -> Iterator[str]:
        """Return the names of the modules in the dictionary."""
        return (name for name, __ in self.named_children())

    def values(self) -> Iterator[Module]:
        """Return the modules in the dictionary."""
        return (module for __, module in self.named_children())

    def items(self) -> Iterator[tuple[str, Module]]:
        """Return the pairs of a name and a module in the dictionary."""
        return self.named_children()

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add modules by name to the dictionary; equal names are replaced."""
        for key, module in modules.items():
            self[key] = module
