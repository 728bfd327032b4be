"""Parameter groups: which parameters have which hyper-parameters.

As in PyTorch, a list of dictionaries says it. What one leaves out is the optimiser's:

    optim.SGD([{"params": model[0].parameters(), "lr": 0.01},
               {"params": model[2].parameters()}], lr=0.1)

In place of tensors names and patterns may stand, in which ``*`` is anything
(``fnmatch``). The first group that fits has the parameter, so ``"*"`` is the rest:

    optim.AdamW([{"params": "*.bias", "weight_decay": 0.0}, {"params": "*"}], lr=1e-3)

A Trainer knows the names. In a loop of your own say them, as pairs of name and tensor:

    optim.AdamW([{"params": "*.bias", "weight_decay": 0.0},
                 {"params": model.named_parameters()}])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from numbers import Real
from typing import Any

from chainrule.errors import ArgumentError, nearest
from chainrule.optim.checks import known_names
from chainrule.optim.schedule import Schedule
from chainrule.optim.schedules import as_schedule
from chainrule.tensor import Tensor

#: Tensors, names or patterns for names.
Wanted = tuple[Tensor | str, ...]
_EXAMPLE = "model.parameters()"


class ParamGroup(Mapping[str, Any]):
    """Parameters with hyper-parameters of their own, an entry of ``param_groups``.

    It reads and writes like PyTorch's dictionaries: ``group["params"]`` are its
    tensors, ``group["lr"]`` is the rate of the next update, and
    ``group["weight_decay"] = 0.1`` holds from the next update on, in steps that are
    compiled already too. A group without a rate of its own has the optimiser's.

    >>> from chainrule import optim
    >>> optimizer = optim.SGD(lr=0.1, momentum=0.9)
    >>> optimizer.param_groups[0]["momentum"] = 0.95
    >>> optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]
    (0.1, 0.95)
    """

    def __init__(
        self,
        owner: Any,
        prefix: str,
        wanted: Wanted,
        own: Mapping[str, Any],
    ) -> None:
        _known_options(owner, own, ["lr", *owner.options])
        self._owner = owner
        self.prefix, self.wanted = prefix, wanted
        self.names: list[str] = []
        # Without groups of the user's own the options are those of the optimiser.
        self.options = owner.options
        if not owner.flat:
            rest = {k: v for k, v in own.items() if k != "lr"}
            self.options = owner.check(owner.options | rest)
        self.own_schedule = as_schedule(own["lr"]) if "lr" in own else None

    @property
    def schedule(self) -> Schedule:
        """The group's own schedule, or the optimiser's."""
        return self.own_schedule or self._owner.schedule

    def __getitem__(self, key: str) -> Any:
        if key == "params":
            return [self._owner.params[name] for name in self.names]
        if key == "lr":
            return self.schedule(self._owner.steps)
        return self.options[key]

    def __setitem__(self, key: str, value: Any) -> None:
        owner = self._owner
        _known_options(owner, [key], self)
        if key == "params":
            raise ArgumentError(
                "The parameters of a group stay as they are.",
                expected="an option: " + ", ".join(self.options),
                got="params",
                fix=f"make a new optimiser: optim.{type(owner).__name__}(…)",
            )
        if key != "lr":
            self.adopt(self.checked({key: value}))
        elif owner.flat:
            owner.schedule = as_schedule(value)
        else:
            self.own_schedule = as_schedule(value)

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The group's options with those given in their places; nothing changes yet.

        Raises:
            ArgumentError: one out of range, or one that switches a part of the rule on
                or off that is compiled already.
        """
        owner, old = self._owner, self.options
        made = owner.check({**old, **given})
        if owner.form(made) != owner.form(old):
            owner.refuse_after_tracing({k: v for k, v in made.items() if v != old[k]})
        return made

    def adopt(self, options: dict[str, Any]) -> None:
        """Take over what :meth:`checked` gave, with the moments that it asks for."""
        self.options.update(options)
        self._owner.renew_moments(self)

    def __iter__(self) -> Iterator[str]:
        return iter(("params", "lr", *self.options))

    def __len__(self) -> int:
        return 2 + len(self.options)

    def settings(self, resolved: bool) -> dict[str, Any]:
        """The group as an item of ``params=``, JSON-able.

        Args:
            resolved: give the names of the parameters, not the patterns.
        """
        made: dict[str, Any] = {"params": list(self.names if resolved else self.wanted)}
        if self.own_schedule is not None:
            made["lr"] = self.own_schedule.settings()
        common = self._owner.options
        return made | as_json({k: v for k, v in self.options.items() if v != common[k]})

    def __repr__(self) -> str:
        inner = ", ".join(f"{k}={v!r}" for k, v in self.items() if k != "params")
        return f"ParamGroup({len(self.names)} parameters, {inner})"


def _known_options(owner: Any, given: Iterable[Any], known: Iterable[str]) -> None:
    """Refuse what is no option of a group."""
    kind, given = type(owner).__name__, list(given)
    for name in ("clip_norm", "clip_value"):
        if name in given:
            raise ArgumentError(
                f"{name} is a limit for all gradients together; no group has its own.",
                expected="an option of a group: " + ", ".join(known),
                got=name,
                fix=f"optim.{kind}(…, {name}=1.0)",
            )
    known_names(f"An option of {kind}", given, known)


def as_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with lists in place of tuples, as they come back from JSON."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}


# -- what the user asked for ---------------------------------------------------------


class Request:
    """What ``params=`` of an optimiser asks for.

    Attributes:
        groups: (tensors, names or patterns; options) of each group.
        flat: whether there are no groups of the user's own.
        given: the tensors, each with its name, where that was said.
        patterns: whether names or patterns were given.

    Raises:
        ArgumentError: neither tensors nor names, none at all, or a tensor twice.
    """

    def __init__(self, kind: str, params: Any) -> None:
        self.kind = kind
        self.given: list[tuple[str | None, Tensor]] = []
        self.patterns = False
        self.groups: list[tuple[Wanted, dict[str, Any]]] = []
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
                    f"A parameter group of {kind} is a dictionary with its parameters.",
                    expected='{"params": [tensors or names], "lr": …}',
                    got=repr(group)[:80],
                )
            own = {k: v for k, v in group.items() if k != "params"}
            self.groups.append((self._read(group["params"]), own))

    def named(self) -> dict[str, Tensor] | None:
        """The parameters by name; None where a model has to say what the names are."""
        if not self.given or (self.patterns and any(n is None for n, _ in self.given)):
            return None
        named: dict[str, Tensor] = {}
        for i, (name, tensor) in enumerate(self.given):
            name = name or tensor.name or f"param{i}"
            while name in named:
                name += "'"
            named[name] = tensor
        return named

    def _read(self, items: Any) -> Wanted:
        """All tensors, all pairs of a name and a tensor, or all names."""
        one = isinstance(items, Tensor | str) or not isinstance(items, Iterable)
        items = [items] if one else list(items)
        if items and all(isinstance(item, str) for item in items):
            self.patterns = True
            return tuple(items)
        pairs = [item if _is_pair(item) else (None, item) for item in items]
        alike = len({name is None for name, _ in pairs}) == 1
        if not alike or not all(isinstance(t, Tensor) for _, t in pairs):
            raise _no_parameters(self.kind, items)
        for name, tensor in pairs:
            if not tensor.is_leaf:
                raise ArgumentError(
                    f"{self.kind} changes tensors that were not computed from others.",
                    expected=f"leaves: {_EXAMPLE}",
                    got=repr(tensor)[:80],
                    fix="pass the parameters themselves, or .detach() the tensor",
                )
            if any(tensor is known for _, known in self.given):
                raise ArgumentError(
                    f"{self.kind} was given a parameter twice.",
                    expected="each parameter once, in one group",
                    got=name or tensor.name or repr(tensor)[:80],
                    fix="leave it out of one of the groups",
                )
            self.given.append((name, tensor))
        return tuple(tensor for _, tensor in pairs)


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
        f"{kind} needs parameters to change.",
        expected=f"{_EXAMPLE}, model.named_parameters(), a list of tensors, of names, "
        "or of dictionaries with them",
        got=repr(given)[:80],
        fix=fix,
    )


# -- who gets what -------------------------------------------------------------------


def matching(wanted: Tensor | str, named: Mapping[str, Tensor]) -> list[str]:
    """The names that a tensor or a pattern stands for.

    Raises:
        ArgumentError: there is none.
    """
    if isinstance(wanted, Tensor):
        names = [name for name, t in named.items() if t is wanted]
        if not names:
            raise foreign(wanted.name or repr(wanted)[:80])
        return names
    if wanted in named or wanted == "*":
        return [wanted] if wanted in named else list(named)
    names = [name for name in named if fnmatchcase(name, wanted)]
    if not names:
        near = nearest(wanted.strip("*."), named)
        raise ArgumentError(
            f"The pattern {wanted!r} fits no parameter.",
            expected="a name, or a pattern for some of " + ", ".join(named),
            got=repr(wanted),
            fix=f"did you mean {near!r}?" if near else None,
        )
    return names


def foreign(got: str) -> ArgumentError:
    """The error for an optimiser whose parameters are not those of the model."""
    return ArgumentError(
        "The optimiser belongs to another model.",
        expected="an optimiser without parameters, or with some of this model's",
        got=f"parameters {got}",
        fix="make a new one: optim.Adam(lr=1e-3)",
    )


def share_out(
    groups: Sequence[ParamGroup], named: Mapping[str, Tensor]
) -> list[list[str]]:
    """The names of the parameters of each group.

    Raises:
        ArgumentError: a pattern that fits nothing, or nothing that is left.
    """
    left = dict.fromkeys(named)
    shares: list[list[str]] = []
    for group in groups:
        mine: list[str] = []
        for wanted in group.wanted:
            names = matching(wanted, named)
            free = [name for name in names if name in left]
            vain = isinstance(wanted, str) and not free and not set(names) <= set(mine)
            if vain and wanted != "*":  # which is the rest, of which there may be none
                raise ArgumentError(
                    f"The pattern {wanted!r} gets no parameter: earlier groups have "
                    "all that fit.",
                    expected="the narrower pattern first: where several fit, the first "
                    "one has the parameter",
                    got=", ".join(names),
                    fix="put this group before the others",
                )
            mine += free
            for name in free:
                del left[name]
        shares.append(mine)
    return shares
