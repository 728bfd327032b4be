"""The view of a module in a notebook: a network's layers, or a layer's numbers."""

from __future__ import annotations

from html import escape
from typing import Any

from chainrule.diagrams.svg import figure
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.html.arrays import array_html
from chainrule.html.views import ROWS, paragraph, table, view
from chainrule.primitives.rules import show
from chainrule.text import ngettext, tr

#: Numbers of a tensor that are shown as a picture; of larger ones the shape alone, as
#: of those that come when a layer's view has so many characters.
NUMBERS, ROOM = 4_000_000, 400_000


def module_view(module: Any) -> str:
    """Return a module as HTML: a table of its layers, or the numbers of one layer."""
    whole, *named = module.named_modules()
    if not named:
        return view(paragraph(repr(module)), *_layer(module))
    if any(module.named_parameters(recurse=False)):  # beside those of its layers
        named.insert(0, whole)
    head = tr("layer"), tr("class"), tr("shapes"), tr("parameters")
    counted: set[int] = set()
    rows = [
        [path, _kind(inner), *_sizes(inner, counted)] for path, inner in named[:ROWS]
    ]
    shown = table([head, *rows], len(named), left=True)
    title, total = paragraph(type(module).__name__), paragraph(_total(module))
    return view(title, shown, total, _picture(module))


def _picture(module: Any) -> str:
    """Return the picture of a network of ours that knows the size of its input, or "".

    Code of others' modules is not run for a look at them.
    """
    own = __name__.partition(".")[0]
    kinds = [type(inner) for __, inner in module.named_modules()]
    if any(kind.__module__.partition(".")[0] != own for kind in kinds):
        return ""
    try:
        return figure(module.picture())
    except ChainruleError:  # of another first layer, or that does not run
        return ""


def _layer(module: Any) -> list[str]:
    """Return a layer's own tensors with their numbers, as long as there is room."""
    own, parts = [*module.named_tensors()], list[str]()
    for name, tensor in own[:ROWS]:
        parts.append(_numbers(name, tensor, sum(map(len, parts)) < ROOM))
    if len(own) > ROWS:
        text = tr(ngettext("{n:,} more row", "{n:,} more rows", n=len(own) - ROWS))
        parts.append(paragraph(f"… {text}", "note"))
    return parts


def _kind(module: Any) -> str:
    """Return a module's class and its arguments, without the modules inside."""
    return f"{type(module).__name__}({module.extra_repr()})"


def _sizes(module: Any, counted: set[int]) -> list[str]:
    """Return the shapes of a module's own parameters, and their numbers' count.

    What other modules share is counted once, so that a column adds up to the total.
    """
    own = dict(module.named_parameters(recurse=False))
    try:
        shapes = [f"{name} {show(p.shape)}" for name, p in own.items()]
        count = sum(p.size for p in own.values() if id(p) not in counted)
        counted |= {*map(id, own.values())}
    except ArgumentError:  # a lazy layer's
        return [tr("known at the first call"), ""]
    return [tr(", ").join(shapes), f"{count:,}" if own else ""]


def _total(module: Any) -> str:
    try:
        counts = [(p.size, p.requires_grad) for p in module.parameters()]
    except ArgumentError:
        return ""
    total, trained = sum(n for n, __ in counts), sum(n for n, grad in counts if grad)
    if trained == total:
        return tr(ngettext("{n:,} parameter", "{n:,} parameters", n=total))
    return tr(
        ngettext(
            "{n:,} parameter, {m} of them trained",
            "{n:,} parameters, {m} of them trained",
            n=total,
            m=f"{trained:,}",
        )
    )


def _numbers(name: str, tensor: Any, room: bool) -> str:
    """Return a layer's tensor with its numbers: a table, or a picture."""
    try:
        about = f"{show(tensor.shape)} {tensor.dtype.name}"
    except ArgumentError:
        return paragraph(tr("{name}: known at the first call", name=name))
    array = array_html(tensor.numpy()) if room and tensor.size <= NUMBERS else ""
    return f"<p><b>{escape(name)}</b> {escape(about)}</p>{array}"
