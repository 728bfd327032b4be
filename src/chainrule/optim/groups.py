"""Parameter groups: hyper-parameters for subsets of the parameters.

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
from functools import lru_cache
from numbers import Real
from typing import Any

from chainrule.compilation.guards.fingerprints import fingerprint
from chainrule.errors import ArgumentError
from chainrule.graph.types import DType
from chainrule.optim.arguments import names_of
from chainrule.optim.schedule import Schedule
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.validation import did_you_mean, known_names

#: A name or a pattern for names, or a tensor with its name, where that was said.
Wanted = str | tuple[str | None, Tensor]
#: Limits of all gradients together.
LIMITS = ("clip_norm", "clip_value")
_EXAMPLE = "model.parameters()"


@lru_cache(maxsize=256)
def options_of(kind: type) -> tuple[str, ...]:
    """Return the names of a group's hyper-parameters, without the learning rate."""
    return tuple([n for n in names_of(kind) if n not in ("params", "lr", *LIMITS)])


class ParamGroup(Mapping[str, Any]):
    """A group of parameters with its own hyper-parameters, as in ``param_groups``.

    It reads and writes like PyTorch's dictionaries: ``group["params"]`` are its
    tensors, ``group["lr"]`` is the rate of the next update, and
    ``group["weight_decay"] = 0.1`` holds from the next update on, in steps that are
    compiled already too. What a group has not of its own is the optimiser's.

    >>> from chainrule import optim
    >>> optimizer = optim.SGD(lr=0.1, momentum=0.9)
    >>> optimizer.param_groups[0]["momentum"] = 0.95
    >>> optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]
    (0.1, 0.95)
    """

    def __init__(
        self, owner: Any, prefix: str, wanted: Sequence[Wanted], own: Mapping[str, Any]
    ) -> None:
        self._owner = owner
        self.prefix, self.wanted = prefix, wanted
        self.names: list[str] = []
        self.own: dict[str, Any] = {}
        self.take(own)

    @property
    def schedule(self) -> Schedule:
        """The learning-rate schedule of the group, or else of the optimiser."""
        self._owner.note_read(lambda: fingerprint(self.held_schedule()))
        return self.held_schedule()

    def held_schedule(self) -> Schedule:
        """Return the schedule, without noting the read for a trace."""
        return self.own.get("lr", vars(self._owner)["lr"])

    @property
    def options(self) -> dict[str, Any]:
        """All hyper-parameters of the group but the rate."""
        self._owner.note_read(self.held)
        return self.held()

    def held(self) -> dict[str, Any]:
        """Return all hyper-parameters but the rate, without noting the read."""
        made = self._owner._options() | self.own
        made.pop("lr", None)
        return made

    @property
    def holder(self) -> dict[str, Any]:
        """The dictionary that stores the hyper-parameters set for the group."""
        return vars(self._owner) if self._owner.flat else self.own

    def take(self, given: Mapping[str, Any]) -> None:
        """Set hyper-parameters of the group, after checks."""
        owner, known = self._owner, ["lr", *options_of(type(self._owner))]
        kind = type(owner).__name__
        for name in LIMITS:
            if name in given:
                raise ArgumentError(
                    _(
                        "{name} is a limit for all gradients together; no group "
                        "has its own.",
                        name=name,
                    ),
                    expected=_("an option of a group: {known}", known=", ".join(known)),
                    got=name,
                    fix=f"optim.{kind}(…, {name}=1.0)",
                )
        known_names(_("An option of {kind}", kind=kind), given, known)
        made = {name: owner.checks[name](name, value) for name, value in given.items()}
        self.holder.update(made)

    def __getitem__(self, key: str) -> Any:
        owner = self._owner
        if key == "params":
            return [owner.params[name] for name in self.names]
        if key != "lr":
            owner.note_read(lambda: self.held().get(key))
            return self.held()[key]
        traced = owner.traced(f"{self.prefix}rate", DType.float32)
        return self.held_schedule()(owner.steps) if traced is None else traced

    def __setitem__(self, key: str, value: Any) -> None:
        if key == "params":
            raise ArgumentError(
                _("The parameters of a group stay as they are."),
                expected=_("an option: {options}", options=", ".join(self.options)),
                got="params",
                fix=_(
                    "make a new optimiser: optim.{kind}(…)",
                    kind=type(self._owner).__name__,
                ),
            )
        with self._owner.changing():
            self.take({key: value})

    def __iter__(self) -> Iterator[str]:
        return iter(("params", "lr", *options_of(type(self._owner))))

    def __len__(self) -> int:
        return 2 + len(options_of(type(self._owner)))

    def settings(self) -> dict[str, Any]:
        """Return the group as a JSON-able item of ``params=``, tensors by name."""
        # Names that tensors came with may be others in the model.
        members = self.wanted if self._owner.by_name else self.names
        return {"params": list(members), **as_json(self.own)}

    def __repr__(self) -> str:
        inner = ", ".join(f"{k}={v!r}" for k, v in self.items() if k != "params")
        return f"ParamGroup({len(self.names)} parameters, {inner})"


def as_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """Convert hyper-parameters to JSON: tuples to lists, schedules to settings."""
    made = {k: v.settings() if k == "lr" else v for k, v in options.items()}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in made.items()}


# -- what the user asked for ---------------------------------------------------------


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
        self.groups: list[tuple[list[Wanted], dict[str, Any]]] = []
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

    def _read(self, given: Any) -> list[Wanted]:
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


# -- who gets what -------------------------------------------------------------------


def share_out(
    groups: Sequence[Sequence[Wanted]], named: Mapping[str, Tensor]
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


def _matching(wanted: Wanted, named: Mapping[str, Tensor]) -> list[str]:
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
