"""The base class of optimisers that are written as in PyTorch: with their own step.

:class:`~chainrule.optim.rule_optimizer.RuleOptimizer` is the base of those whose step
is a rule for each parameter. Such a rule is an operation of the graph: it is compiled,
explained and part of a Trainer's step.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.optim.parameters import Request
from chainrule.tensor import Tensor, tensor
from chainrule.text import _


class Optimizer:
    """The base class of optimisers; a subclass defines :meth:`step` as in PyTorch.

    Args:
        params: the parameters: an iterable of tensors (``model.parameters()``), or a
            list of groups, ``{"params": […], "lr": …}``.
        defaults: the hyper-parameters of a group that sets no others.

    Attributes:
        param_groups: dictionaries with ``"params"`` and the hyper-parameters.
        state: a dictionary for each parameter, empty at first.
        defaults: the hyper-parameters of groups that are added later.

    Its step runs eagerly, or in a function that ``cr.compile`` traces, as any other
    code of tensors. A Trainer takes a ``RuleOptimizer`` alone.

    Raises:
        ArgumentError: no parameters, or one of them twice.

    >>> import chainrule as cr
    >>> class Descent(cr.optim.Optimizer):
    ...     def __init__(self, params, lr=0.1):
    ...         super().__init__(params, {"lr": lr})
    ...     @cr.no_grad()
    ...     def step(self, closure=None):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 if p.grad is not None:
    ...                     p.add_(p.grad, alpha=-group["lr"])
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> Descent([w]).step()
    >>> w
    tensor([0.8], requires_grad=True)
    """

    param_groups: Any
    state: Any
    defaults: Any

    def __init__(self, params: Any, defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        self.param_groups = []
        self.state = defaultdict(dict)
        for tensors, own in self._requested(params):
            self._add(tensors, own)

    def _requested(self, params: Any) -> list[tuple[list[Tensor], dict[str, Any]]]:
        """Return the tensors and the options of each group that ``params`` names."""
        groups: list[tuple[list[Tensor], dict[str, Any]]] = []
        for selectors, own in Request(type(self).__name__, params).groups:
            names = [s for s in selectors if isinstance(s, str)]
            if names:
                raise ArgumentError(
                    _("{kind} needs its parameters.", kind=type(self).__name__),
                    expected="model.parameters()",
                    got=", ".join(names)[:80],
                    fix=_("names and patterns are for optimisers with an update rule"),
                )
            groups.append(([s[1] for s in selectors if not isinstance(s, str)], own))
        return groups

    def _add(self, tensors: list[Tensor], own: Mapping[str, Any]) -> None:
        known = {id(p) for group in self.param_groups for p in group["params"]}
        if any(id(p) in known for p in tensors):
            raise ArgumentError(
                _("{kind} was given a parameter twice.", kind=type(self).__name__),
                expected=_("each parameter once, in one group"),
                got=_("a group with a parameter of another one"),
                fix=_("leave it out of one of the groups"),
            )
        self.param_groups.append({"params": tensors, **self.defaults, **own})

    # -- what an optimiser defines -----------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters by their gradients; every optimiser defines this."""
        raise ArgumentError(
            _("{kind} has no step().", kind=type(self).__name__),
            expected=_("a method step(self, closure=None)"),
            fix=_("define it in the class, under @cr.no_grad()"),
        )

    # -- what it has -------------------------------------------------------------------

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group of parameters, with hyper-parameters of its own.

        Args:
            param_group: ``{"params": […], "lr": …}``; what is left out is as in
                ``defaults``.

        Raises:
            ArgumentError: no parameters, or one that another group has.
        """
        for tensors, own in self._requested([param_group]):
            self._add(tensors, own)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters."""
        for group in self.param_groups:
            for p in group["params"]:
                p.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the state and the hyper-parameters, for a checkpoint.

        Returns:
            ``"state"``: by the numbers of parameters; ``"param_groups"``: the groups,
            with numbers in place of their parameters.
        """
        numbers = self._numbers()
        state = {
            numbers[id(p)]: {k: _copied(v) for k, v in values.items()}
            for p, values in self.state.items()
        }
        groups = [
            {
                **copy.deepcopy(_without_params(g)),
                "params": [numbers[id(p)] for p in ps],
            }
            for g in self.param_groups
            for ps in (g["params"],)
        ]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            ArgumentError: groups of other sizes.
        """
        groups = state_dict["param_groups"]
        sizes = [len(group["params"]) for group in self.param_groups]
        saved = [len(group["params"]) for group in groups]
        if sizes != saved:
            raise ArgumentError(
                _("The state is one of other parameters."),
                expected=_("groups of {sizes} parameters", sizes=sizes),
                got=str(saved),
            )
        params = [p for group in self.param_groups for p in group["params"]]
        places = [i for group in groups for i in group["params"]]
        state: Any = defaultdict(dict)
        for p, place in zip(params, places, strict=True):
            if place in state_dict["state"]:
                values = state_dict["state"][place]
                state[p] = {k: _restored(v) for k, v in values.items()}
        for mine, group in zip(self.param_groups, groups, strict=True):
            mine.update(copy.deepcopy(_without_params(group)))
        self.state = state

    def _numbers(self) -> dict[int, int]:
        params = [p for group in self.param_groups for p in group["params"]]
        return {id(p): i for i, p in enumerate(params)}

    def __repr__(self) -> str:
        lines = [
            ", ".join(f"{k}={v!r}" for k, v in _without_params(group).items())
            for group in self.param_groups
        ]
        return f"{type(self).__name__}({'; '.join(lines)})"


def _without_params(group: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key != "params"}


def _copied(item: Any) -> Any:
    """Return a part of a parameter's state as it goes into a checkpoint."""
    return item.numpy().copy() if isinstance(item, Tensor) else copy.deepcopy(item)


def _restored(item: Any) -> Any:
    return tensor(item) if hasattr(item, "__array__") else copy.deepcopy(item)
