"""Changes of a training as a diff of the run file that describes it.

A change is made in the text of the file, so that comments and order stay. What comes
out is read again, and its network, loss, optimiser and plan are built: they must be
those that the change was measured with, or the change is said in words.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule import nn
from chainrule.doctor import Case, Change
from chainrule.errors import ChainruleError
from chainrule.nn import Module
from chainrule.optim.schedule import Schedule
from chainrule.runs import network, schema, toml_edits
from chainrule.runs.file import OPTIONS, RunFile, parse
from chainrule.runs.layers import LAYERS, SCALING
from chainrule.runs.problems import Where
from chainrule.runs.source import Parts
from chainrule.text import _, joined

#: Sections that a change gives as a whole, where it names a class.
_WHOLE = ("loss", "optimizer", "schedule")
#: Optimisers whose steps do not depend on the scale of the gradients.
_OF_NO_SCALE = ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad")
_OF_NO_SCALE = (*_OF_NO_SCALE, "Adadelta", "Lion", "Rprop")
#: Their options that do.
_OF_SCALE = ("clip_norm", "clip_value", "l1_penalty")


@dataclass(frozen=True)
class Draft:
    """A run file's text with changes.

    Attributes:
        text: what the file says.
        places: which of its layers a module of the built network is, by name; those
            that are left out are not there.
        options: settings of the command line that still hold.
    """

    text: str
    places: Mapping[str, int]
    options: Mapping[str, Any]


class NotSaid(Exception):  # noqa: N818 - it is no error: words say it
    """A signal: a run file has no word for a change, so prose says it."""


class InFile:
    """Changes of a diagnosed run as a diff of its run file.

    Args:
        run: the file.
        parts: its data, as it has loaded them.
        case: what was examined.
    """

    def __init__(self, run: RunFile, parts: Parts, case: Case) -> None:
        self.run, self.parts, self.case = run, parts, case

    def __call__(self, changes: Iterable[Change]) -> str:
        """Return changes as a unified diff, and beside it what the file cannot say."""
        draft, told, untold = self.draft(changes)
        lines: list[str] = []
        if draft.text != self.run.text:
            lines += unified(self.run.name, self.run.text, draft.text)
            lines += self._notes(draft, told)
        for change in untold:
            lines.append(
                _(
                    "# The file has no word for this; paths are those of the built "
                    "network:"
                )
            )
            lines += [f"#   {line}" for line in change.diff.split("\n")]
        return joined("\n", lines)

    def draft(
        self, changes: Iterable[Change]
    ) -> tuple[Draft, list[Change], list[Change]]:
        """Return the file with changes, those that it says, and those that it cannot.

        Of a change of several layers' initial weights it may say a part: that counts
        as said, and the rest as a change that it cannot say.
        """
        model: Any = self.case.setup.model
        layers = self.run.settings.model.layers
        places = network.places(model, layers)
        draft = Draft(self.run.text, places, self.run.options)
        told: list[Change] = []
        untold: list[Change] = []
        for change in (one for c in changes for one in c.single):
            try:
                new, rest = self._with(draft, change)
                # Without an edit it may be what another change has said already.
                if self._besides(new, [*told, change]) and new.text == draft.text:
                    raise NotSaid
            except (NotSaid, ChainruleError):
                untold.append(change)
                continue
            draft = new
            told.append(change)
            untold += [] if rest is None else [rest]
        return draft, told, untold

    # -- the text ----------------------------------------------------------------------

    def _with(self, draft: Draft, change: Change) -> tuple[Draft, Change | None]:
        """Return a file with one change more, and what of that it cannot say.

        Raises:
            NotSaid: it cannot say it.
        """
        if change.settings is None and change.layers is None:
            raise NotSaid
        if "targets" in change.slots and not self._of_no_scale():
            raise NotSaid  # in the file the loss is in the targets' unit
        settings, text = change.settings or {}, draft.text
        for section, values in settings.items():
            text = with_settings(text, section, values)
        given = {OPTIONS[k]: k for k in draft.options}
        new = {given.get((s, k)) for s, values in settings.items() for k in values}
        options = {k: v for k, v in draft.options.items() if k not in new}
        places = dict(draft.places)
        removed = _dropouts(self.case.setup.model, change.layers or {})
        rest: list[str] = []
        for path, tables in (change.layers or {}).items():
            if path.partition(".")[0] in removed:
                continue
            try:
                text = _with_layer(text, places, path, tables)
            except NotSaid:
                if [*map(set, tables)] != [{"init"}]:
                    raise
                rest.append(path)
        for name in removed:
            place = ("model", "layers", _place(places, name))
            text = with_option(text, place, {"dropout": 0.0})
        left = None
        if rest:
            if len(rest) == len(change.layers or {}):
                raise NotSaid
            lines = dict.fromkeys(_line(change.after, path) for path in rest)
            left = Change(change.what, "", "\n".join(lines), change.apply)
        return Draft(text, places, options), left

    def _of_no_scale(self) -> bool:
        """Return whether steps stay the same where all gradients are scaled."""
        if isinstance(self.case.setup.loss, nn.TransformedTargetLoss):
            return True
        if math.prod(self.parts.train.y.shape[1:]) > 1:
            return True  # several targets have such a loss, see building
        optimizer = self.case.setup.optimizer
        given = optimizer.defaults
        coupled = given.get("weight_decay") and type(optimizer).__name__ != "AdamW"
        known = type(optimizer).__name__ in _OF_NO_SCALE
        return known and not coupled and not any(given.get(k) for k in _OF_SCALE)

    # -- what it describes -------------------------------------------------------------

    def _besides(self, draft: Draft, changes: Sequence[Change]) -> list[list[str]]:
        """Return in which scaling layers a file differs from what was measured.

        Raises:
            NotSaid: it differs in something else.
            ChainruleError: it is no run file, or what it describes cannot be built.
        """
        run = parse(
            draft.text,
            name=self.run.name,
            folder=self.run.folder,
            options=draft.options,
        )
        with schema.on_trial():
            made = run.trainer(self.parts)
        setup = self.case.setup.copy()
        for change in changes:
            change.apply(setup)
        loss = made.loss
        if isinstance(loss, nn.TransformedTargetLoss) and type(setup.loss) is not type(
            loss
        ):
            loss = loss.loss
        plan = run.fit_options(self.parts.train)
        measured, new = list(_leaves(setup.model)), list(_leaves(made.model))
        same = (
            _plain(measured) == _plain(new)
            and _alike(_described(setup.loss), _described(loss))
            and _alike(_described(setup.optimizer), _described(made.optimizer))
            and (plan["epochs"], plan["drop_last"]) == (setup.epochs, setup.drop_last)
            and min(plan["batch_size"], len(setup.train))
            == min(setup.batch_size, len(setup.train))
        )
        if not same:
            raise NotSaid
        ends = {s for c in changes if c.settings == _STANDARDISED for s in c.slots}
        scaled = [name for name, __ in measured if name in SCALING]
        scaled = ["Standardize"] * ("inputs" in ends) + scaled
        scaled += ["Unstandardize"] * ("targets" in ends)
        there = [name for name, __ in new if name in SCALING]
        return [] if scaled == there else [scaled, there]

    def _notes(self, draft: Draft, told: Sequence[Change]) -> list[str]:
        """Return what else the changed file does, which was not measured."""
        besides = self._besides(draft, told)
        if not besides:
            return []
        measured, new = (", ".join(f"nn.{n}" for n in names) for names in besides)
        return [
            _(
                "# Scaling layers with this change alone: {measured}; those of the "
                "changed file: {new}.",
                measured=measured or _("none"),
                new=new or _("none"),
            )
        ]


#: What changes say that standardise features, or targets.
_STANDARDISED = {"model": {"standardize": True}}


def _line(code: str, path: str) -> str:
    """Return what the code of a change says of a layer's weights."""
    lines = code.splitlines()
    own = (line for line in lines if line.startswith(f"# {path}: "))
    given = (line for line in lines if line.startswith("for ") and f'"{path}"' in line)
    alone = (re.sub(r"\[.*?\]", f'["{path}"]', line) for line in given)
    return next(own, None) or next(alone)


def _leaves(model: Module) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield classes and arguments of the modules that do something, in order.

    Initial weights are no part of it.
    """
    for __, module in model.named_modules():
        name, inner = type(module).__name__, any(True for __ in module.children())
        if isinstance(module, nn.Sequential | nn.Identity):
            continue
        if isinstance(module, nn.Dropout) and module.p == 0:
            continue
        given = {} if inner else module.settings()
        yield name, {k: v for k, v in given.items() if k not in ("init", "inplace")}


def _plain(leaves: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [leaf for leaf in leaves if leaf[0] not in SCALING]


def _described(thing: Any) -> Any:
    """Return a loss, an optimiser or a schedule as its class and its arguments."""
    if isinstance(thing, Module):
        return [type(thing).__name__, thing.settings()]
    if isinstance(thing, Schedule):
        given = {k: _described(v) for k, v in thing.arguments().items()}
        return [type(thing).__name__, given]
    if hasattr(thing, "param_groups"):
        defaults = {k: _described(v) for k, v in thing.defaults.items()}
        groups = [
            {k: _described(v) for k, v in g.own.items()} for g in thing.param_groups
        ]
        return [type(thing).__name__, defaults, groups]
    return thing


def _alike(a: Any, b: Any) -> bool:
    """Return whether descriptions are the same, but for the rounding of numbers."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-6)
    return type(a) is type(b) and repr(a) == repr(b)


# -- edits -----------------------------------------------------------------------------


def unified(name: str, before: str, after: str) -> list[str]:
    """Return the lines of a unified diff of two texts, as ``patch`` takes it.

    >>> print("\\n".join(unified("a.toml", "x = 1\\ny = 2", "x = 3\\ny = 2")))
    --- a.toml
    +++ a.toml
    @@ -1,2 +1,2 @@
    -x = 1
    +x = 3
     y = 2
    \\ No newline at end of file
    """
    old, new = (
        [f"{line}\n" for line in text.split("\n")[:-1]]
        + [line for line in text.split("\n")[-1:] if line]
        for text in (before, after)
    )
    lines: list[str] = []
    for line in difflib.unified_diff(old, new, name, name, n=1):
        lines.append(line.removesuffix("\n"))
        if not line.endswith("\n"):
            lines.append("\\ No newline at end of file")
    return lines


def with_settings(text: str, section: str, values: Mapping[str, Any]) -> str:
    """Return a run file's text with other values of a section.

    Raises:
        NotSaid: the text has a form that is not edited.
    """
    before = tomllib.loads(text).get(section, {})
    if not isinstance(before, dict):
        raise NotSaid
    whole = section in _WHOLE and (not values or "class" in values)
    after = {} if whole else dict(before)
    after |= values
    values = {k: v for k, v in after.items() if v is not None}
    after = dict(values)
    for key in before:
        if key not in after:
            text = _edited(toml_edits.without, text, (section, key))
    for key, value in values.items():
        if key not in before or before[key] != value:
            text = _edited(toml_edits.with_value, text, (section, key), value)
    if tomllib.loads(text).get(section, {}) != after:
        raise NotSaid
    return text


def _edited(edit: Any, text: str, *given: Any) -> str:
    """Return an edited text; it is still TOML, else the change is not said."""
    try:
        made = edit(text, *given)
        tomllib.loads(made)
    except (tomllib.TOMLDecodeError, LookupError) as error:
        raise NotSaid from error
    return made


def _with_layer(
    text: str, places: dict[str, int], path: str, tables: Sequence[Mapping[str, Any]]
) -> str:
    """Return a run file's text with something else in place of a layer.

    ``places`` is updated.

    Raises:
        NotSaid: the file does not name the layer, or it has no such option.
    """
    layers = tomllib.loads(text).get("model", {}).get("layers")
    i = _place(places, path)
    if not isinstance(layers, list):
        raise NotSaid
    place = ("model", "layers", i)
    if not tables:
        made = _edited(toml_edits.without, text, place)
        expected = layers[:i] + layers[i + 1 :]
        del places[path]
        for name, k in places.items():
            places[name] = k - (k > i)
    else:
        first, *more = tables
        made = text
        if "class" in first:
            old = toml_edits.spans(text)[place]
            if old.kind != "item":
                raise NotSaid  # a section [[model.layers]]
            made = _edited(toml_edits.with_value, text, place, _short(first))
        elif first:
            made = with_option(text, place, first)
        for table in reversed(more):
            made = _edited(toml_edits.with_item, made, place, _short(table))
        own = tomllib.loads(made)["model"]["layers"][i]
        new = [t if s == "item" else _table(t) for t, s in _kinds(made, i, more)]
        expected = [*layers[:i], own, *new, *layers[i + 1 :]]
        for name, k in places.items():
            places[name] = k + len(more) * (k > i)
    if tomllib.loads(made)["model"]["layers"] != expected:
        raise NotSaid
    return made


def _kinds(
    text: str, i: int, more: Sequence[Mapping[str, Any]]
) -> list[tuple[Any, str]]:
    """Return added layers as they are written, and the kind of their places."""
    kind = toml_edits.spans(text)["model", "layers", i].kind
    return [(_short(table), kind) for table in more]


def _table(layer: Any) -> Any:
    return {"class": layer} if isinstance(layer, str) else layer


def _short(table: Mapping[str, Any]) -> Any:
    """Return a layer as one writes it: by its name, where it has no options."""
    return table["class"] if len(table) == 1 else dict(table)


def with_option(text: str, place: Where, options: Mapping[str, Any]) -> str:
    """Return a run file's text with other options of a layer; None leaves one out.

    A size that follows from the layer before stays left out.

    Raises:
        NotSaid: the layer has no such option.
    """
    layer = tomllib.loads(text)["model"]["layers"][place[-1]]
    before = _table(layer)
    known = LAYERS.model(before["class"]).known()
    after = dict(before)
    for key, value in options.items():
        if key not in known:
            raise NotSaid
        if value is None:
            after.pop(key, None)
        elif key != "in_features" or key in before:
            after[key] = value
    if after == before:
        return text
    if isinstance(layer, str):
        return _edited(toml_edits.with_value, text, place, after)
    for key in before:
        if key not in after:
            text = _edited(toml_edits.without, text, (*place, key))
    for key, value in after.items():
        if before.get(key) != value:
            text = _edited(toml_edits.with_value, text, (*place, key), value)
    if tomllib.loads(text)["model"]["layers"][place[-1]] != after:
        raise NotSaid
    return text


def _place(places: Mapping[str, int], path: str) -> int:
    """Return which layer of a run file a module is."""
    if path not in places:
        raise NotSaid
    return places[path]


def _dropouts(
    model: Module, layers: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[str]:
    """Return the layers whose own dropout is wholly left out by a change."""
    inner: dict[str, list[str]] = {}
    for path, module in model.named_modules():
        name, __, rest = path.partition(".")
        if rest and isinstance(module, nn.Dropout):
            inner.setdefault(name, []).append(path)
    gone = {path for path, tables in layers.items() if not tables}
    return [name for name, paths in inner.items() if gone.issuperset(paths)]
