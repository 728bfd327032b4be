"""The parameters that an optimiser's ``params=`` names, and their groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from numbers import Real
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.optim.schedule import Schedule
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.validation import did_you_mean

#: A name or a pattern for names, or a tensor with its name, where that was said.
Selector = str | tuple[str | None, Tensor]
_EXAMPLE = "model.parameters()"


class Request:
    """The parameter groups that the argument ``params=`` of an optimiser requests.

    Attributes:
        groups: (tensors, names or patterns; options) of each group.
        flat: whether there are no groups of the user's own.
        tensors: by their ids, each with its name, where the user gives one.

    Raises:
        ArgumentError: neither tensors nor names, none at all, or a tensor twice.
    """

    def __init__(self, kind: str, params: Any) -> None:
        self.kind = kind
        self.groups: list[tuple[list[Selector], dict[str, Any]]] = []
        self.tensors: dict[int, tuple[str | None, Tensor]] = {}
        single = isinstance(params, Tensor | str | Mapping)
        items = list(params) if isinstance(params, Iterable) and not single else []
        if params is not None and not items:
            raise _no_parameters(kind, params)
        self.flat = not any(isinstance(item, Mapping) for item in items)
        if self.flat:
            items = [{"params": items or "*"}]
        for group in items:
            if not isinstance(group, Mapping) or "params" not in group:
                raise ArgumentError(
                    _(
                        "A parameter group of {kind} is a dictionary with its "
                        "parameters.",
                        kind=kind,
                    ),
                    expected='{"params": [tensors or names], "lr": …}',
                    got=repr(group)[:80],
                )
            own = {k: v for k, v in group.items() if k != "params"}
            self.groups.append((self._read(group["params"]), own))

    def named(self) -> dict[str, Tensor] | None:
        """Return an optimiser's parameters by name; None if a model must name them."""
        selectors = [s for group, __ in self.groups for s in group]
        patterns = any(isinstance(s, str) for s in selectors)
        nameless = any(name is None for name, __ in self.tensors.values())
        if not self.tensors or (patterns and nameless):
            return None
        named: dict[str, Tensor] = {}
        for i, (name, tensor) in enumerate(self.tensors.values()):
            name = name or tensor.name or f"param{i}"
            while name in named:
                name += "'"
            named[name] = tensor
        return named

    def _read(self, tensors: Any) -> list[Selector]:
        """Convert an optimiser's ``params`` (tensors, pairs or names) to a list."""
        one = isinstance(tensors, Tensor | str) or not isinstance(tensors, Iterable)
        items: list[Any] = [tensors] if one else list(tensors)
        if items and all(isinstance(item, str) for item in items):
            return items
        pairs: list[Any] = [i if _is_pair(i) else (None, i) for i in items]
        alike = len({name is None for name, __ in pairs}) == 1
        if not alike or not all(isinstance(t, Tensor) for __, t in pairs):
            raise _no_parameters(self.kind, items)
        for name, tensor in pairs:
            if not tensor.is_leaf:
                raise ArgumentError(
                    _(
                        "{kind} changes tensors that were not computed from others.",
                        kind=self.kind,
                    ),
                    expected=_("leaves: {EXAMPLE}", EXAMPLE=_EXAMPLE),
                    got=repr(tensor)[:80],
                    fix=_("pass the parameters themselves, or .detach() the tensor"),
                )
            if id(tensor) in self.tensors:
                raise ArgumentError(
                    _("{kind} was given a parameter twice.", kind=self.kind),
                    expected=_("each parameter once, in one group"),
                    got=name or tensor.name or repr(tensor)[:80],
                    fix=_("leave it out of one of the groups"),
                )
            self.tensors[id(tensor)] = name, tensor
        return pairs


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)


def _no_parameters(kind: str, tensors: Any) -> ArgumentError:
    if isinstance(tensors, Tensor):
        fix = f"optim.{kind}([tensor], …)"
    elif isinstance(tensors, Real | Schedule):
        fix = f"optim.{kind}(lr={tensors!r})"
    else:
        fix = f"optim.{kind}({_EXAMPLE}, …)"
    return ArgumentError(
        _("{kind} needs parameters to change.", kind=kind),
        expected=_(
            "{EXAMPLE}, model.named_parameters(), a list of tensors, of "
            "names, or of dictionaries with them",
            EXAMPLE=_EXAMPLE,
        ),
        got=repr(tensors)[:80],
        fix=fix,
    )


# -- the groups' shares ----------------------------------------------------------------


def share_out(
    groups: Sequence[Sequence[Selector]], named: Mapping[str, Tensor]
) -> list[list[str]]:
    """Assign each parameter to the first optimiser group that matches it.

    Raises:
        ArgumentError: a pattern that fits nothing, or nothing that is left; a tensor
            that is not among them.
    """
    left = dict.fromkeys(named)
    shares: list[list[str]] = []
    for group in groups:
        share: list[str] = []
        for selector in group:
            names = _matching(selector, named)
            free = [name for name in names if name in left]
            pattern = (
                isinstance(selector, str) and selector != "*"
            )  # "*" may be nothing
            if pattern and not free and not set(names) <= set(share):
                raise ArgumentError(
                    _(
                        "The pattern {wanted!r} gets no parameter: earlier groups "
                        "have all that fit.",
                        wanted=selector,
                    ),
                    expected=_(
                        "the narrower pattern first: where several fit, "
                        "the first one has the parameter"
                    ),
                    got=", ".join(names),
                    fix=_("put this group before the others"),
                )
            share += free
            for name in free:
                del left[name]
        shares.append(share)
    return shares


def _matching(selector: Selector, named: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the parameters that a group's tensor or pattern matches."""
    if not isinstance(selector, str):
        name, tensor = selector
        names = [known for known, t in named.items() if t is tensor]
        if not names:
            raise ArgumentError(
                _("The optimiser belongs to another model."),
                expected=_(
                    "an optimiser without parameters, or with those of this model"
                ),
                got=_(
                    "the parameter {tensor}",
                    tensor=name or tensor.name or repr(tensor)[:80],
                ),
                fix=_("make a new one: optim.Adam(lr=1e-3)"),
            )
        return names
    if selector in named or selector == "*":
        return [selector] if selector in named else list(named)
    names = [name for name in named if fnmatchcase(name, selector)]
    if not names:
        raise ArgumentError(
            _("The pattern {wanted!r} fits no parameter.", wanted=selector),
            expected=_(
                "a name, or a pattern for some of {named}", named=", ".join(named)
            ),
            got=repr(selector),
            fix=did_you_mean(selector.strip("*."), named),
        )
    return names
