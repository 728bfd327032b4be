"""A commented file to start from, which runs as it is: ``chainrule new``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chainrule.runs import classes, schema
from chainrule.runs.classes import Option
from chainrule.runs.schema import Key, Section
from chainrule.runs.values import key, show, width, written

#: Keys of a section, and what the file says for them.
Chosen = Mapping[str, Mapping[str, Any]]
#: A layer as one writes it, and what to say about it.
Layer = tuple[str, str]
#: Where the comments behind keys begin, and where lines end.
COLUMN, WIDTH = 36, 92

#: What to show of options without a default.
_EXAMPLES = {"clip_norm": "1.0", "clip_value": "0.5"}

_HEAD = """\
# A run of Chainrule. Train it with:
#
#     chainrule train {name}
#
# "# seed = 1" is a key that may be given: take its first "#" away.
# All keys, and what each layer, loss and optimiser takes: chainrule new --reference
"""


def text(name: str, fitting: Sequence[str], chosen: Chosen, layers: list[Layer]) -> str:
    """The text of a starting file.

    Args:
        name: of the file.
        fitting: the keys of ``[data]`` that such data may have.
        chosen: for each section the keys that are given.
        layers: the layers of the network.
    """
    parts = [_HEAD.format(name=name)]
    for section in schema.SECTIONS:
        given = chosen.get(section.name, {})
        lines = [*_wrapped(section.doc), _head(section, given)]
        for item in section.keys:
            if item.name == "layers":
                lines += _layers(layers)
            elif item.name == "class":
                lines += _class(section, item, given)
            elif section.name != "data" or item.name in fitting:
                lines += _key(item, given)
        if section.family is not None:
            lines += _options(section, given)
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _head(section: Section, given: Mapping[str, Any]) -> str:
    """``[section]``; one that may come many times is a comment until it is given."""
    return f"# {section.header}" if section.many and not given else section.header


def _wrapped(text: str) -> list[str]:
    """Text as comment lines."""
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH - 2)]


def _beside(left: str, comment: str) -> Iterator[str]:
    """A line with its comment behind it, which may need more lines."""
    room = WIDTH - COLUMN - 2
    first, *rest = textwrap.wrap(comment, room) or [""]
    space = " " * (COLUMN - width(left))
    if not space:
        yield from _wrapped(comment)
        yield left
        return
    yield f"{left}{space}# {first}".rstrip() if first else left
    yield from (f"{'':<{COLUMN}}# {line}" for line in rest)


def _layers(layers: list[Layer]) -> Iterator[str]:
    yield "layers = ["
    for layer, comment in layers:
        yield from _beside(f"  {layer},", comment) if comment else [f"  {layer},"]
    yield "]"


def _key(item: Key, given: Mapping[str, Any]) -> Iterator[str]:
    """A key of the section: given, or as a comment with an example."""
    if item.name in given:
        yield from _beside(f"{key(item.name)} = {written(given[item.name])}", item.doc)
    else:
        default = f" (default: {item.default})" if item.default else ""
        yield from _beside(
            f"# {key(item.name)} = {item.example}", f"{item.doc}{default}"
        )


def _class(section: Section, item: Key, given: Mapping[str, Any]) -> Iterator[str]:
    """The class of the section, and the others that could stand there."""
    assert section.family is not None
    name = given.get("class")
    shown = show(name) if name else item.example
    others = [f'"{n}"' for n in section.family().classes if f'"{n}"' != shown]
    default = f" (default: {item.default})" if item.default and not name else ""
    left = f"class = {shown}" if name else f"# class = {shown}"
    yield from _beside(left, f"or {', '.join(others)}{default}")


def _options(section: Section, given: Mapping[str, Any]) -> Iterator[str]:
    """The options of the class; those that are not given with their defaults."""
    assert section.family is not None
    family = section.family()
    example = section.otherwise
    if section.many:  # commented out as a whole
        item = section.key("class")
        example = schema.value(item.example) if item is not None else ""
    name = given.get("class") or example
    if not name:
        return
    said = classes.documentation(family.classes[name])
    for option in family.options(name).values():
        doc = said.get(option.name, "").rstrip(".")
        if option.name in given:
            left = f"{key(option.name)} = {written(given[option.name])}"
            yield from _beside(left, doc)
        elif (usual := written_default(option)) is not None:
            yield from _beside(f"# {key(option.name)} = {usual}", doc)
        elif option.name in _EXAMPLES:
            left = f"# {option.name} = {_EXAMPLES[option.name]}"
            yield from _beside(left, f"{doc} (default: none)")


def written_default(option: Option) -> str | None:
    """The default of an option as one writes it in TOML; None where it has none."""
    value = option.default
    if option.required or value is None:
        return None
    if isinstance(value, float):
        return repr(value)
    return show(list(value) if isinstance(value, tuple) else value)
