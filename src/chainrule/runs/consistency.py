"""What the keys of a run's file say together: problems that no key has by itself."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from chainrule import data
from chainrule.errors import ArgumentError, nearest
from chainrule.runs import factory, schema
from chainrule.runs.classes import (
    Family,
    callbacks,
    layers,
    optimizers,
    schedules,
)
from chainrule.runs.factory import ProblemError
from chainrule.runs.problems import Problem, Where
from chainrule.runs.values import WrongValueError, show

#: Ends of file names, and how such files are read.
_ENDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".data": "csv",
    ".npz": "npz",
    ".idx": "idx",
}
#: The share of samples for validation, and for the test, where the file is silent.
SHARE = 0.1
#: Keys of [data] that are arguments of the functions that draw a data set.
DRAWING = {
    "samples": "n",
    "copies": "copies",
    "noise": "noise",
    "spread": "spread",
    "classes": "classes",
}


def problems(settings: Mapping[str, Any]) -> list[Problem]:
    """All of them; the keys by themselves are right."""
    found = [*_data(settings["data"]), *_sizes(settings["model"]["layers"])]
    found += [
        *_groups(settings["optimizer"]),
        *_metrics(settings["training"]["metrics"]),
        *_monitors(settings),
    ]
    return found or [*_trials(settings)]


# -- data --------------------------------------------------------------------------


def format_of(source: str | list[str], given: str | None) -> str | None:
    """How data are read; None where the name does not tell.

    >>> format_of("houses.csv", None), format_of("moons", None), format_of("pets", None)
    ('csv', 'named', 'images')
    """
    if given is not None:
        return given
    if isinstance(source, list):
        return "idx"
    if source in (*schema.BUNDLED, *schema.DRAWN):
        return "named"
    name = PurePosixPath(source.replace("\\", "/")).name.lower()
    name = re.sub(r"\.(gz|bz2|xz|zip)$", "", name)
    end = PurePosixPath(name).suffix
    if end in _ENDS:
        return _ENDS[end]
    if "idx" in name or "ubyte" in name:
        return "idx"
    return None if end else "images"


def _data(settings: Mapping[str, Any]) -> Iterator[Problem]:
    source = settings["source"]
    format = format_of(source, settings["format"])
    if format is None:
        yield Problem(
            ("data", "source"),
            "its name does not tell how to read it.",
            expected="a name that ends in .csv, .npz or .idx, a folder, or the key "
            "format",
            got=show(source),
            fix='add format = "csv" (or "npz", "idx", "images")',
        )
        return
    if isinstance(source, list) and format != "idx":
        yield Problem(
            ("data", "source"),
            "two files are images and labels in idx.",
            expected=f"one path for {format}",
            got=show(source),
            fix="give one path",
        )
    if format == "csv" and settings["target"] is None:
        yield Problem(
            ("data",),
            "the key 'target' is missing.",
            expected='target = "…", the column of the CSV file that is to be predicted',
            got="nothing",
            fix='add target = "…" below [data]',
        )
    yield from _foreign(settings, format)
    yield from _parts(settings, format)


def fitting_keys(settings: Mapping[str, Any], format: str) -> list[str]:
    """The keys of [data] that data of such a format may have.

    >>> fitting_keys({"source": "pets"}, "images")[:4]
    ['source', 'format', 'size', 'mode']
    """
    section = schema.section("data")
    assert section is not None
    own = [k.name for k in section.keys if not k.formats or format in k.formats]
    if format != "named":
        return own
    if settings["source"] == "mnist":
        own.remove("test")
    known = inspect.signature(getattr(data, settings["source"])).parameters
    foreign = {key for key, argument in DRAWING.items() if argument not in known}
    return [name for name in own if name not in foreign]


def _foreign(settings: Mapping[str, Any], format: str) -> Iterator[Problem]:
    """Keys that belong to another format."""
    section = schema.section("data")
    assert section is not None
    fitting = fitting_keys(settings, format)
    whose = f"{settings['source']!r}" if format == "named" else format
    for key in section.keys:
        if key.name in fitting or settings[key.name] is None or not key.formats:
            continue
        yield Problem(
            ("data", key.name),
            f"this key is not for data of {whose}.",
            expected=", ".join(fitting),
            got=f"{key.name} = {show(settings[key.name])}",
            fix=f"leave it away; it is for {_formats(key.formats)}",
        )
    classes = settings["classes"]
    by_name, counted = format == "named", isinstance(classes, int)
    wrong = counted if format == "csv" else by_name and not counted
    if classes is not None and wrong:
        yield Problem(
            ("data", "classes"),
            "it does not take this value here.",
            expected="how many classes" if by_name else "a list of their names",
            got=show(classes),
            fix="classes = 3" if by_name else 'classes = ["no", "yes"]',
        )


def _formats(formats: tuple[str, ...]) -> str:
    return " and ".join(
        re.split(" with|:|,", schema.FORMATS[name])[0] for name in formats
    )


def _parts(settings: Mapping[str, Any], format: str) -> Iterator[Problem]:
    """The parts of validation and test."""
    shares = [settings[k] for k in ("validation", "test")]
    numbers = [share for share in shares if isinstance(share, float)]
    if sum(numbers) >= 1:
        yield Problem(
            ("data", "validation"),
            "nothing is left to learn from.",
            expected="shares of validation and test that are less than 1 together",
            got=" + ".join(f"{share:g}" for share in numbers),
            fix="validation = 0.1 and test = 0.1 leave 80 % for training",
        )
    for name, share in zip(("validation", "test"), shares):
        if isinstance(share, list) and format != "idx":
            yield Problem(
                ("data", name),
                "it is not like the source.",
                expected="a share such as 0.1, or one path",
                got=show(share),
                fix=f"{name} = 0.1",
            )
        elif format == "named" and isinstance(share, str):
            yield Problem(
                ("data", name),
                "data that are named have no files of their own.",
                expected="a share such as 0.1",
                got=show(share),
                fix=f"{name} = 0.1",
            )
    if settings["source"] == "mnist" and settings["test"] is not None:
        yield Problem(
            ("data", "test"),
            "MNIST has a test set of its own.",
            expected="no key 'test'",
            got=f"test = {show(settings['test'])}",
            fix="leave it away",
        )


# -- the network -------------------------------------------------------------------


def _sizes(given: list[dict[str, Any]]) -> Iterator[Problem]:
    """Layers that are too large, and sizes that nothing tells."""
    last = max(
        (i for i, layer in enumerate(given) if _has(layer, "out_features")),
        default=None,
    )
    total = 0
    for i, layer in enumerate(given):
        given_or_last = "out_features" in layer["options"] or i == last
        if _has(layer, "out_features") and not given_or_last:
            yield Problem(
                ("model", "layers", i),
                f"{layer['class']} needs the key 'out_features'.",
                expected="out_features = …, the number of its outputs; only the "
                "last layer's follows from the data",
                got=show({"class": layer["class"], **layer["options"]}),
                fix=f'{{ class = "{layer["class"]}", out_features = 64 }}',
            )
        weights = weights_of(layer["class"], layer["options"])
        total += weights
        if total > schema.WEIGHTS_AT_MOST:
            yield too_large(i, layer["class"], weights, total)
            return


def _has(layer: Mapping[str, Any], option: str) -> bool:
    return option in layers().options(layer["class"])


def weights_of(name: str, options: Mapping[str, Any]) -> int:
    """How many weights a layer of these sizes has, about: their product."""
    known = layers().options(name)
    sizes = [given for key, given in options.items() if known[key].size]
    flat = [n for size in sizes for n in (size if isinstance(size, list) else [size])]
    return math.prod(flat) if flat else 0


def too_large(i: int, name: str, weights: int, total: int) -> Problem:
    """The problem of a network that would not fit into memory."""
    return Problem(
        ("model", "layers", i),
        f"{name} would be too large.",
        expected=f"at most {schema.WEIGHTS_AT_MOST:,} weights in the whole network",
        got=f"{weights:,} in this layer, {total:,} up to here",
        fix="make it smaller; nothing was allocated",
    )


# -- classes -----------------------------------------------------------------------


def _trials(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What constructors refuse; layers are tried with few units."""
    optimizer, schedule = settings["optimizer"], settings["schedule"]
    attempts: list[Any] = [
        lambda: factory.optimizer(optimizer, schedule),
        *(
            lambda i=i: factory.callback(i, settings["callbacks"][i], Path())
            for i in range(len(settings["callbacks"]))
        ),
        *(
            lambda i=i: factory.layer(i, _small(settings["model"]["layers"][i]))
            for i in range(len(settings["model"]["layers"]))
        ),
    ]
    if settings["loss"]["class"] is not None:
        attempts.append(lambda: factory.loss(settings["loss"]))
    for attempt in attempts:
        try:
            with factory.on_trial():
                attempt()
        except ProblemError as error:
            yield error.problem


def _small(layer: Mapping[str, Any]) -> dict[str, Any]:
    """The layer with at most two units of each kind."""
    options = dict(layer["options"])
    for name, option in layers().options(layer["class"]).items():
        if not option.size:
            continue
        if name in options:
            size = options[name]
            few = [min(n, 2) for n in size] if isinstance(size, list) else min(size, 2)
            options[name] = few
        elif option.required:
            options[name] = 2
    return {"class": layer["class"], "options": options}


def _groups(optimizer: Mapping[str, Any]) -> Iterator[Problem]:
    """Options of groups of parameters, by the kinds of the optimiser's own."""
    kinds = {
        name: option.kind
        for name, option in optimizers().options(optimizer["class"]).items()
        if not name.startswith("clip_")
    }
    for pattern, options in (optimizer["groups"] or {}).items():
        for name, given in options.items():
            where = ("optimizer", "groups", pattern, name)
            if name not in kinds:
                near = nearest(name, kinds)
                yield Problem(
                    where,
                    f"{optimizer['class']} has no option {name[:60]!r} for a group.",
                    expected=", ".join(kinds),
                    got=f"{name[:60]} = {show(given)}",
                    fix=f"did you mean {near!r}?" if near else "leave it away",
                )
                continue
            try:
                kinds[name].take(given)
            except WrongValueError as wrong:
                yield Problem(
                    where,
                    "it does not take this value.",
                    expected=wrong.expected,
                    got=show(given),
                    fix=wrong.fix or f"write {name} = …, with {wrong.expected}",
                )


def _monitors(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What watches the validation needs one."""
    if share_of(settings["data"], "validation") != 0.0:
        return
    watching: list[tuple[Where, Family, Any]] = [
        (("schedule",), schedules(), settings["schedule"]),
        *(
            (("callbacks", i), callbacks(), item)
            for i, item in enumerate(settings["callbacks"])
        ),
    ]
    for where, family, item in watching:
        option = family.options(item["class"]).get("monitor")
        if option is None:
            continue
        monitor = item["options"].get("monitor", option.default)
        if str(monitor).startswith("validation_"):
            yield Problem(
                (*where, "monitor"),
                f"{item['class']} cannot watch {monitor!r} without a validation part.",
                expected="a part of the data to measure it on, or another number",
                got="validation = 0",
                fix='validation = 0.1 in [data], or monitor = "train_loss" here',
            )


def share_of(settings: Mapping[str, Any], part: str) -> float | None:
    """The share of the samples for ``validation`` or ``test``; None for a file's."""
    given = settings[part]
    if given is None:
        four = settings["source"] == "xor" and settings["copies"] in (None, 1)
        return 0.0 if four else SHARE
    return given if isinstance(given, float) else None


def _metrics(given: list[str] | None) -> Iterator[Problem]:
    from chainrule.metrics import as_metrics

    try:
        as_metrics(given)
    except ArgumentError as error:
        yield Problem.of(error, "training", "metrics")
