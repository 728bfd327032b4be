"""Choices of the lab's page: data, layers, losses, optimisers, and their options.

All of it is read off the sections of run files, and so off the constructors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from chainrule.lab.characters import Reading
from chainrule.lab.protocol import by_language
from chainrule.runs.classes import Family, describe, summary
from chainrule.runs.data_section import DRAWN, KINDS
from chainrule.runs.schema import LAYERS, LOSSES, OPTIMIZERS, SCHEDULES, Training
from chainrule.runs.section import Section
from chainrule.text import _

#: Layers that are offered first, by what they are for.
FIRST = (
    *("Linear", "ReLU", "Tanh", "Sigmoid", "LeakyReLU", "GELU", "SiLU", "Softmax"),
    *("Dropout", "BatchNorm1d", "LayerNorm", "Flatten", "Unflatten"),
    *("Conv2d", "MaxPool2d", "AvgPool2d", "BatchNorm2d", "Dropout2d"),
)
#: Layers of one number each, which the page calls activations.
ACTIVATIONS = (
    *("ReLU", "Tanh", "Sigmoid", "LeakyReLU", "GELU", "SiLU", "ELU", "SELU"),
    *("Softplus", "Softsign", "Mish", "Hardtanh"),
)
#: The network that the page begins with, as sections of a run file.
START: dict[str, Any] = {
    "data": {"source": "circles", "samples": 400, "noise": 0.1},
    "model": {
        "layers": [
            {"class": "Linear", "out_features": 6},
            {"class": "Tanh"},
            {"class": "Linear", "out_features": 4},
            {"class": "Tanh"},
            {"class": "Linear"},
        ]
    },
    "optimizer": {"class": "Adam", "lr": 0.01},
    "training": {"epochs": 300, "batch_size": 16, "seed": 0},
}
#: Keys that the page says in its own way, or not at all.
_OWN = ("class", "source", "format", "groups", "devices", "metrics", "probes", "layers")


@cache
def choices() -> dict[str, Any]:
    """Return what a page may choose from, as data for JSON."""
    return {
        "start": START,
        "data": {name: _section(KINDS[name]) for name in ("mnist", *DRAWN)},
        "table": _section(KINDS["csv"]),
        "text": _section(KINDS["text"]),
        "images": _section(KINDS["images"]),
        "reading": _section(Reading),
        "layers": _family(LAYERS),
        "planes": list(DRAWN),
        "first": list(FIRST),
        "activations": list(ACTIVATIONS),
        "losses": _family(LOSSES),
        "optimizers": _family(OPTIMIZERS),
        "schedules": _family(SCHEDULES),
        "training": _section(Training),
    }


def texts() -> Iterator[str]:
    """Yield what is said of options that no run file has, for translation."""
    yield from (describe(Reading, key) for key in Reading.known())


def _family(family: Family) -> dict[str, Any]:
    return {
        name: {
            "summary": by_language(_(summary(family.classes[name]))),
            "options": _section(family.model(name)),
        }
        for name in family.classes
    }


def _section(section: type[Section]) -> list[dict[str, Any]]:
    schema = section.model_json_schema()
    return list(_options(section, schema["properties"], schema.get("required", ())))


def _options(
    section: type[Section], properties: Mapping[str, Any], required: Any
) -> Iterator[dict[str, Any]]:
    for name, said in properties.items():
        kinds = [*_kinds(said)]
        if name in _OWN or not kinds or name not in section.known():
            continue
        option: dict[str, Any] = {
            "name": name,
            "kinds": sorted({kind["type"] for kind in kinds}),
            "default": said.get("default"),
            "required": name in required,
            "doc": by_language(_(describe(section, name))),
        }
        for kind in kinds:
            option |= {k: kind[k] for k in ("minimum", "maximum", "enum") if k in kind}
        yield option


def _kinds(said: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the simple kinds of values that a key takes; lists of numbers are one."""
    for kind in said.get("anyOf", [said]):
        if "const" in kind:
            yield {"type": "string", "enum": [kind["const"]]}
        elif kind.get("type") in ("integer", "number", "boolean", "string", "array"):
            yield dict(kind)
