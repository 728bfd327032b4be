"""Parameter groups: which parameters have which hyper-parameters.

There are two ways to say it. As in PyTorch, a list of dictionaries with the tensors
(or the names of a Trainer's parameters), which leaves out what it does not mention:

    optim.SGD([{"params": model[0].parameters(), "lr": 0.01},
               {"params": model[2].parameters()}], lr=0.1)

Or patterns for the parameters that differ from the rest:

    optim.AdamW(lr=1e-3, groups={"*.bias": {"weight_decay": 0.0}})

A pattern is a name, in which ``*`` stands for anything (``fnmatch``). Where several
patterns fit a parameter the first one has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from numbers import Real
from typing import TYPE_CHECKING, Any

from chainrule.errors import ArgumentError, nearest
from chainrule.optim.checks import known_names
from chainrule.optim.schedule import Schedule
from chainrule.optim.schedules import as_schedule
from chainrule.tensor import Tensor

if TYPE_CHECKING:
    from chainrule.optim.optimizer import Optimizer

#: Tensors, or patterns for their names.
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
        owner: Optimizer,
        prefix: str,
        wanted: Wanted | None,
        own: Mapping[str, Any],
    ) -> None:
        _known_options(owner, own, ["lr", *owner.options])
        self._owner = owner
        self.prefix, self.wanted = prefix, wanted
        self.tensors: list[Tensor] = []
        rest = {k: v for k, v in own.items() if k != "lr"}
        # The main group's options are those of the optimiser.
        main = wanted is None
        self.options = owner.options if main else owner.check(owner.options | rest)
        self.own_schedule = as_schedule(own["lr"]) if "lr" in own else None

    @property
    def schedule(self) -> Schedule:
        """The group's own schedule, or the optimiser's."""
        return self.own_schedule or self._owner.schedule

    def __getitem__(self, key: str) -> Any:
        if key == "params":
            return list(self.tensors)
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
        elif self.wanted is None:
            owner.schedule = as_schedule(value)
        else:
            self.own_schedule = as_schedule(value)

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The group's options with those given in their places; nothing changes yet.

        Raises:
            ArgumentError: one out of range, or one that switches a part of the rule on
                or off that is compiled already.
        """
        made = self._owner.check({**self.options, **given})
        for key in given:
            if self._switches(key, made):
                self._owner.refuse_after_tracing(key, given[key])
        return made

    def adopt(self, options: dict[str, Any]) -> None:
        """Take over what :meth:`checked` gave, with the moments that it asks for."""
        switched = any(self._switches(key, options) for key in options)
        self.options.update(options)
        if switched:
            self._owner.renew_moments(self)

    def _switches(self, key: str, options: Mapping[str, Any]) -> bool:
        """Whether another form of the rule follows, and not only another number."""
        onoff = bool(options[key]) != bool(self.options[key])
        return onoff and key not in self._owner.numbers

    def __iter__(self) -> Iterator[str]:
        return iter(("params", "lr", *self.options))

    def __len__(self) -> int:
        return 2 + len(self.options)

    def settings(self, names: Mapping[int, str], resolved: bool) -> dict[str, Any]:
        """The group as an item of ``params=`` or ``groups=``, JSON-able.

        Args:
            names: of the parameters, by the tensors' ids.
            resolved: give the names that the patterns stood for.
        """
        wanted: list[Any] = [*(self.wanted or ())]
        if resolved or any(isinstance(item, Tensor) for item in wanted):
            wanted = [names[id(t)] for t in self.tensors]
        made: dict[str, Any] = {"params": wanted}
        if self.own_schedule is not None:
            made["lr"] = self.own_schedule.settings()
        common = self._owner.options
        differ = {k: v for k, v in self.options.items() if v != common[k]}
        return made | as_json(differ)

    def __repr__(self) -> str:
        inner = ", ".join(f"{k}={v!r}" for k, v in self.items() if k != "params")
        return f"ParamGroup({len(self.tensors)} parameters, {inner})"


def _known_options(
    owner: Optimizer, given: Iterable[Any], known: Iterable[str]
) -> None:
    """Refuse what is no option of a group."""
    kind = type(owner).__name__
    given = list(given)
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


@dataclass
class Request:
    """What an optimiser was asked to change.

    Attributes:
        universe: the parameters that it may change; None for all that it is given.
        groups: (tensors or patterns, options) of each group.
        main: whether what no group wants is changed too.
    """

    universe: Wanted | None = None
    groups: list[tuple[Wanted, dict[str, Any]]] = field(
        default_factory=list[tuple[Wanted, dict[str, Any]]]
    )
    main: bool = True

    def tensors(self) -> list[Tensor] | None:
        """All parameters asked for; None where some are only named, or none are."""
        items = self.universe or ()
        if not self.main:
            items = tuple(item for wanted, _ in self.groups for item in wanted)
        found = [item for item in items if isinstance(item, Tensor)]
        return found if found and len(found) == len(items) else None


def read_request(kind: str, params: Any, groups: Any) -> Request:
    """What ``params=`` and ``groups=`` of an optimiser called ``kind`` ask for.

    Raises:
        ArgumentError: neither tensors nor names, none at all, or a tensor twice.
    """
    request = Request()
    if params is not None:
        single = isinstance(params, Tensor | str | Mapping)
        given = [] if single or not isinstance(params, Iterable) else list(params)
        if not given:
            raise _no_parameters(kind, params)
        if all(isinstance(item, Mapping) for item in given):
            request.groups = [_read_group(kind, item) for item in given]
            request.main = False
        else:
            request.universe = _wanted(kind, given)
    if groups is not None:
        if not request.main:
            raise ArgumentError(
                f"{kind} was given parameter groups in two ways.",
                expected="a list of dictionaries as params, or groups={pattern: …}",
                got="both",
                fix="put all of them into one of the two",
            )
        request.groups = _read_patterns(kind, groups)
    items = [*(request.universe or ()), *(w for g, _ in request.groups for w in g)]
    seen: set[int] = set()
    for item in items:
        if isinstance(item, Tensor) and id(item) in seen:
            raise ArgumentError(
                f"{kind} was given a parameter twice.",
                expected="each parameter once, in one group",
                got=item.name or repr(item)[:80],
                fix="leave it out of one of the groups",
            )
        seen.add(id(item))
    return request


def _read_patterns(kind: str, groups: Any) -> list[tuple[Wanted, dict[str, Any]]]:
    """``{pattern: options}``, or a list of dictionaries with patterns."""
    if isinstance(groups, Mapping):
        for name, options in groups.items():
            good = isinstance(name, str) and isinstance(options, Mapping)
            if not good or "params" in options:
                raise _no_group(kind, groups)
        groups = [{**options, "params": name} for name, options in groups.items()]
    if not isinstance(groups, list | tuple):
        raise _no_group(kind, groups)
    read = [_read_group(kind, group) for group in groups]
    if any(isinstance(w, Tensor) for wanted, _ in read for w in wanted):
        raise _no_group(kind, groups)
    return read


def _read_group(kind: str, group: Any) -> tuple[Wanted, dict[str, Any]]:
    if not isinstance(group, Mapping) or "params" not in group:
        raise ArgumentError(
            f"A parameter group of {kind} is a dictionary with its parameters.",
            expected='{"params": [tensors or names], "lr": …}',
            got=repr(group)[:80],
        )
    items = group["params"]
    one = isinstance(items, Tensor | str) or not isinstance(items, Iterable)
    wanted = _wanted(kind, [items] if one else list(items))
    return wanted, {k: v for k, v in group.items() if k != "params"}


def _wanted(kind: str, items: list[Any]) -> Wanted:
    """All tensors, or all names."""
    same = all(isinstance(i, Tensor) for i in items) or all(
        isinstance(i, str) for i in items
    )
    if not items or not same:
        raise _no_parameters(kind, items)
    for item in items:
        if isinstance(item, Tensor) and not item.is_leaf:
            raise ArgumentError(
                f"{kind} changes tensors that were not computed from others.",
                expected=f"leaves: {_EXAMPLE}",
                got=repr(item)[:80],
                fix="pass the parameters themselves, or .detach() the tensor",
            )
    return tuple(items)


def _no_parameters(kind: str, given: Any) -> ArgumentError:
    if isinstance(given, Tensor):
        fix = f"optim.{kind}([tensor], …)"
    elif isinstance(given, Real | Schedule):
        fix = f"optim.{kind}(lr={given!r})"
    else:
        fix = f"optim.{kind}({_EXAMPLE}, …)"
    return ArgumentError(
        f"{kind} needs parameters to change.",
        expected=f"{_EXAMPLE}, a list of tensors, or a list of dictionaries with them",
        got=repr(given)[:80],
        fix=fix,
    )


def _no_group(kind: str, given: Any) -> ArgumentError:
    return ArgumentError(
        f"groups= of {kind} says which options some names have.",
        expected='groups={"*.bias": {"weight_decay": 0.0}}',
        got=repr(given)[:80],
        fix="tensors go into params=[{'params': [tensor], 'lr': …}]",
    )


# -- who gets what -------------------------------------------------------------------


def name_tensors(tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    """The tensors by their own names, made different where two have the same."""
    named: dict[str, Tensor] = {}
    for i, tensor in enumerate(tensors):
        name = tensor.name or f"param{i}"
        while name in named:
            name += "'"
        named[name] = tensor
    return named


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
    if wanted in named:
        return [wanted]
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
        for wanted in group.wanted or ():
            names = matching(wanted, named)
            free = [name for name in names if name in left]
            if not free and not set(names) <= set(mine):
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
    return [
        list(left) if group.wanted is None else mine
        for group, mine in zip(groups, shares, strict=True)
    ]
