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
        given: the tensors, each with its name, where that was said, by their ids.

    Raises:
        ArgumentError: neither tensors nor names, none at all, or a tensor twice.
    """

    def __init__(self, kind: str, params: Any) -> None:
        self.kind = kind
        self.groups: list[tuple[list[Selector], dict[str, Any]]] = []
        self.given: dict[int, tuple[str | None, Tensor]] = {}
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
        """Return the parameters by name; None if names must come from a model."""
        patterns = any(isinstance(w, str) for wanted, __ in self.groups for w in wanted)
        nameless = any(name is None for name, __ in self.given.values())
        if not self.given or (patterns and nameless):
            return None
        named: dict[str, Tensor] = {}
        for i, (name, tensor) in enumerate(self.given.values()):
            name = name or tensor.name or f"param{i}"
            while name in named:
                name += "'"
            named[name] = tensor
        return named

    def _read(self, given: Any) -> list[Selector]:
        """Convert an argument of tensors, (name, tensor) pairs or names to a list."""
        one = isinstance(given, Tensor | str) or not isinstance(given, Iterable)
        items: list[Any] = [given] if one else list(given)
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
            if id(tensor) in self.given:
                raise ArgumentError(
                    _("{kind} was given a parameter twice.", kind=self.kind),
                    expected=_("each parameter once, in one group"),
                    got=name or tensor.name or repr(tensor)[:80],
                    fix=_("leave it out of one of the groups"),
                )
            self.given[id(tensor)] = name, tensor
        return pairs


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)


def _no_parameters(kind: str, given: Any) -> ArgumentError:
    if isinstance(given, Tensor):
        fix = f"optim.{kind}([tensor], …)"
    elif isinstance(given, Real | Schedule):
        fix = f"optim.{kind}(lr={given!r})"
    else:
        fix = f"optim.{kind}({_EXAMPLE}, …)"
    return ArgumentError(
        _("{kind} needs parameters to change.", kind=kind),
        expected=_(
            "{EXAMPLE}, model.named_parameters(), a list of tensors, of "
            "names, or of dictionaries with them",
            EXAMPLE=_EXAMPLE,
        ),
        got=repr(given)[:80],
        fix=fix,
    )


# -- the groups' shares ----------------------------------------------------------------


def share_out(
    groups: Sequence[Sequence[Selector]], named: Mapping[str, Tensor]
) -> list[list[str]]:
    """Assign each parameter to the first group that matches; return names by group.

    Raises:
        ArgumentError: a pattern that fits nothing, or nothing that is left; a tensor
            that is not among them.
    """
    left = dict.fromkeys(named)
    shares: list[list[str]] = []
    for group in groups:
        mine: list[str] = []
        for wanted in group:
            names = _matching(wanted, named)
            free = [name for name in names if name in left]
            vain = isinstance(wanted, str) and not free and not set(names) <= set(mine)
            if vain and wanted != "*":  # which is the rest, of which there may be none
                raise ArgumentError(
                    _(
                        "The pattern {wanted!r} gets no parameter: earlier groups "
                        "have all that fit.",
                        wanted=wanted,
                    ),
                    expected=_(
                        "the narrower pattern first: where several fit, "
                        "the first one has the parameter"
                    ),
                    got=", ".join(names),
                    fix=_("put this group before the others"),
                )
            mine += free
            for name in free:
                del left[name]
        shares.append(mine)
    return shares


def _matching(wanted: Selector, named: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the parameters that a tensor or a pattern matches."""
    if not isinstance(wanted, str):
        name, tensor = wanted
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
    if wanted in named or wanted == "*":
        return [wanted] if wanted in named else list(named)
    names = [name for name in named if fnmatchcase(name, wanted)]
    if not names:
        raise ArgumentError(
            _("The pattern {wanted!r} fits no parameter.", wanted=wanted),
            expected=_(
                "a name, or a pattern for some of {named}", named=", ".join(named)
            ),
            got=repr(wanted),
            fix=did_you_mean(wanted.strip("*."), named),
        )
    return names
