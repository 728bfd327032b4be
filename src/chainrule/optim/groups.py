"""Parameter groups of optimisers: hyper-parameters for subsets of parameters.

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
from functools import lru_cache
from typing import Any

from chainrule.compilation.guards.fingerprints import fingerprint
from chainrule.errors import ArgumentError
from chainrule.graph.types import DType
from chainrule.optim.arguments import names_of
from chainrule.optim.parameters import Selector
from chainrule.optim.schedule import Schedule
from chainrule.text import _, ngettext
from chainrule.util.validation import known_names

#: Limits of all gradients together.
LIMITS = ("clip_norm", "clip_value")


@lru_cache(maxsize=256)
def option_names(kind: type) -> tuple[str, ...]:
    """Return the names of a parameter group's hyper-parameters, without ``lr``."""
    return tuple([n for n in names_of(kind) if n not in ("params", "lr", *LIMITS)])


def select_options(optimizer: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those hyper-parameters that parameter groups can have of their own."""
    return {name: values[name] for name in option_names(type(optimizer))}


class ParamGroup(Mapping[str, Any]):
    """A parameter group of an optimiser, with hyper-parameters of its own.

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
        self,
        owner: Any,
        prefix: str,
        selectors: Sequence[Selector],
        own: Mapping[str, Any],
    ) -> None:
        self._owner = owner
        self.prefix, self.selectors = prefix, selectors
        self.names: list[str] = []
        self.own: dict[str, Any] = {}
        self.set(own)

    @property
    def schedule(self) -> Schedule:
        """The learning-rate schedule of a parameter group, or else of the optimiser."""
        self._owner.note_read(lambda: fingerprint(self.current()["lr"]))
        return self.current()["lr"]

    @property
    def options(self) -> dict[str, Any]:
        """All hyper-parameters of a parameter group but the learning rate."""
        self._owner.note_read(self._options)
        return self._options()

    def _options(self) -> dict[str, Any]:
        return select_options(self._owner, self.current())

    def current(self) -> dict[str, Any]:
        """Return a parameter group's hyper-parameters and its schedule, ``"lr"``."""
        return self._owner.defaults | self.own

    @property
    def store(self) -> dict[str, Any]:
        """The dictionary of a group's settable hyper-parameters, or the optimiser's."""
        return self._owner.defaults if self._owner.flat else self.own

    def check_names(self, options: Iterable[str]) -> None:
        """Refuse names that are no hyper-parameters of a parameter group."""
        owner, known = self._owner, ["lr", *option_names(type(self._owner))]
        kind = type(owner).__name__
        for name in LIMITS:
            if name in options:
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
        known_names(_("An option of {kind}", kind=kind), options, known)

    def set(self, options: Mapping[str, Any]) -> None:
        """Set hyper-parameters of a parameter group, after checks."""
        self.check_names(options)
        checked = {k: self._owner.checked(k, value) for k, value in options.items()}
        self.store.update(checked)

    def __getitem__(self, key: str) -> Any:
        owner = self._owner
        if key == "params":
            return [owner.params[name] for name in self.names]
        if key != "lr":
            owner.note_read(lambda: self._options().get(key))
            return self._options()[key]
        traced = owner.traced_scalar(f"{self.prefix}rate", DType.float32)
        return self.current()["lr"](owner.steps) if traced is None else traced

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
            self.set({key: value})

    def __iter__(self) -> Iterator[str]:
        return iter(("params", "lr", *option_names(type(self._owner))))

    def __len__(self) -> int:
        return 2 + len(option_names(type(self._owner)))

    def settings(self) -> dict[str, Any]:
        """Return the parameter group as JSON, with its parameters by name."""
        # Names that tensors came with may be others in the model.
        members = self.selectors if self._owner.by_name else self.names
        return {"params": list(members), **as_json(self.own)}

    def __repr__(self) -> str:
        inner = ", ".join(f"{k}={v!r}" for k, v in self.items() if k != "params")
        many = ngettext("{n} parameter", "{n} parameters", n=len(self.names))
        return f"ParamGroup({many}, {inner})"


def as_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """Convert an optimiser's hyper-parameters to JSON."""
    plain = {k: v.settings() if k == "lr" else v for k, v in options.items()}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}
