"""``chainrule new``: a commented new run file that can be trained as it is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic.fields import FieldInfo

from chainrule.runs import schema
from chainrule.runs.classes import describe, summary
from chainrule.runs.data_section import section_of
from chainrule.runs.section import Section, example
from chainrule.runs.values import key, show, to_toml
from chainrule.text import _, tr
from chainrule.text.catalogue import current
from chainrule.text.numbers import width
from chainrule.text.tables import wrapped

#: What to say about layers; the last one is another matter.
_LAYERS = {
    "Flatten": _("one row of numbers for each sample"),
    "Embedding": _("a row of numbers for each word; how many words follows"),
    "Steps": _('of each text the last step; or { class = "Steps", take = "max" }'),
}
_LAST = _("with as many outputs as the data need")
#: Where the comments behind keys begin, and where lines end.
COLUMN, WIDTH = 36, 92
#: What to show of options without a default.
_EXAMPLES = {"clip_norm": 1.0, "clip_value": 0.5}
_HEAD = _("""\
# A run of Chainrule. Train it with:
#
#     chainrule train {name}
#
# "# seed = 1" is a key that may be given: take its first "#" away.
# All keys, and what each layer, loss and optimiser takes: chainrule new --reference
""")


def text(name: str, chosen: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the text of a new run file, with comments.

    Args:
        name: of the file.
        chosen: the settings of each section.
    """
    parts = [tr(_HEAD, name=name)]
    for title, section in schema.SECTIONS.items():
        lines = _section(title, section, chosen.get(title, {}))
        parts.append("\n".join([*_wrapped(tr(summary(section))), *lines]) + "\n")
    return "\n".join(parts)


def _section(
    name: str, section: type[Section], settings: Mapping[str, Any]
) -> Iterator[str]:
    """Yield a new run file's lines of a section: set keys, and others as comments."""
    family, many = schema.FAMILIES.get(name), name == "callbacks"
    # One that may come many times is a comment while it has no settings.
    yield f"# {section.title}" if many and not settings else section.title
    if name == "data":
        section = section_of(settings["source"], settings.get("format")) or section
    elif family is not None and name != "model":
        usual = example(section.known()["class"]) if many else family.default
        chosen = settings.get("class", usual)
        section = section if chosen is None else family.model(chosen)
    fields = section.known()
    for item in sorted(fields, key=lambda item: item not in settings):
        field = fields[item]
        doc = tr(describe(section, item))
        if item == "class" and family is not None:
            shown = settings.get(item, example(field))
            others = (show(other) for other in family.classes if other != shown)
            doc = tr("or {others}", others=", ".join(others))
        if item == "layers":
            yield from _layers(settings[item])
        elif item in settings:
            yield from _with_comment(f"{key(item)} = {to_toml(settings[item])}", doc)
        else:
            yield from _offered(item, field, doc)


def _layers(layers: Sequence[Any]) -> Iterator[str]:
    """Yield a new run file's lines of the list of layers, one for each layer."""
    yield "layers = ["
    for i, layer in enumerate(layers):
        name = layer if isinstance(layer, str) else layer["class"]
        comment = tr(_LAST if i == len(layers) - 1 else _LAYERS.get(name, ""))
        yield from _with_comment(f"  {to_toml(layer)},", comment)
    yield "]"


def _offered(name: str, field: FieldInfo, doc: str) -> Iterator[str]:
    """Yield a new run file's comment lines about a key that is not set."""
    default = None if field.is_required() else field.default
    values = (example(field), _EXAMPLES.get(name), default)
    shown = next((value for value in values if value is not None), None)
    if shown is not None:
        if default not in (None, shown, []):
            doc += tr(" (default: {value})", value=show(default))
        yield from _with_comment(f"# {key(name)} = {to_toml(shown)}", doc)


def _wrapped(text: str) -> list[str]:
    """Return text as wrapped comment lines of a new run file."""
    return [f"# {line}" for line in _folded(text, WIDTH - 2)]


def _folded(text: str, columns: int) -> list[str]:
    """Return a comment's text wrapped to a number of columns."""
    if current() == "en":
        return textwrap.wrap(text, columns)
    return [line for line in wrapped(text, columns) if line]


def _with_comment(left: str, comment: str) -> Iterator[str]:
    """Yield a line of a new run file with a comment at its right, wrapped."""
    space = " " * (COLUMN - width(left))
    if not space:
        yield from _wrapped(comment)
        yield left
        return
    first, *rest = _folded(comment, WIDTH - COLUMN - 2) or [""]
    yield f"{left}{space}# {first}" if first else left
    yield from (f"{'':<{COLUMN}}# {line}" for line in rest)
