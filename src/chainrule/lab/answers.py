"""Answers to the questions that a page asks a training process, between two chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.lab.saliency import salient
from chainrule.lab.sentences import shown_tokens, understood
from chainrule.lab.steps import Shown, label_of
from chainrule.lab.watching import read
from chainrule.lab.writing import foreseen, written
from chainrule.text import _
from chainrule.text.languages import language


def look(worker: Any, message: Mapping[str, Any]) -> None:
    """Show the weights of a step of the past, or of now."""
    view = worker.begun()
    step = message["step"]
    view.looking = None if step is None or step >= view.step else step
    view.show_maps()
    view.show_confusion()
    worker.report()


def sample(worker: Any, message: Mapping[str, Any]) -> None:
    """Explain a step on one sample."""
    view = worker.begun()
    part = getattr(view.session.parts, message["part"])
    if part is None:
        raise ArgumentError(
            _("The data have no such part."),
            expected=", ".join(k for k, n in view.session.parts.sizes().items() if n),
            got=message["part"],
        )
    shown, row = worker.shown, message["row"]
    with language(message["lang"]):
        if not (message.get("again") and shown is not None and shown.of(part, row)):
            past = None if view.looking is None else view.weights()
            weights = None if past is None else past[1]
            step = view.step if past is None else past[0]
            shown = worker.shown = Shown(view.trainer, part, row, weights, step)
        content, arrays = shown.message()
        label = label_of(part, row)
    worker.tell(
        "sampled",
        arrays,
        id=message["id"],
        part=message["part"],
        rows=len(part),
        label=label,
        tokens=shown_tokens(part, row),
        step=shown.step,
        **content,
    )


def element(worker: Any, message: Mapping[str, Any]) -> None:
    """Tell the path of one number of the explained step."""
    shown = _explained(worker)
    with language(message["lang"]):
        evaluated = message.get("evaluated", False)
        path = shown.path(message["name"], message["index"], evaluated=evaluated)
    worker.say("path", id=message["id"], **path)


def _explained(worker: Any) -> Shown:
    if worker.shown is None:
        raise ArgumentError(
            _("No sample is explained yet."), fix=_("choose a sample first")
        )
    return worker.shown


def saliency(worker: Any, message: Mapping[str, Any]) -> None:
    """Tell what of the explained sample the loss depends on."""
    shown, view = _explained(worker), worker.begun()
    with language(message["lang"]):
        explanation, train = shown.evaluated, view.session.parts.train
        content, arrays = salient(explanation, train, view.trainer.model)
    worker.tell("salient", arrays, id=message["id"], **content)


def cell(worker: Any, message: Mapping[str, Any]) -> None:
    """Tell the samples in a cell of the confusion matrix."""
    found = worker.begun().in_cell(message["truth"], message["decided"])
    worker.say("rows", id=message["id"], **found)


def digit(worker: Any, message: Mapping[str, Any]) -> None:
    """Tell what the network says to a drawn picture."""
    view = worker.begun()
    worker.say("read", id=message["id"], **read(view, message["pixels"]))


def sentence(worker: Any, message: Mapping[str, Any]) -> None:
    """Tell what the network says to a typed text."""
    with language(message["lang"]):
        content, arrays = understood(worker.begun(), message["text"])
    worker.tell("understood", arrays, id=message["id"], **content)


def write(worker: Any, message: Mapping[str, Any]) -> None:
    """Tell a text that the network writes."""
    keys = ("text", "count", "temperature", "seed")
    text = written(worker.begun(), **{key: message[key] for key in keys})
    worker.say("written", id=message["id"], **text)


def foresee(worker: Any, message: Mapping[str, Any]) -> None:
    """Tell which character comes next, and what that depends on."""
    with language(message["lang"]):
        content, arrays = foreseen(worker.begun(), message["text"])
    worker.tell("foreseen", arrays, id=message["id"], **content)


def explore(worker: Any, message: Mapping[str, Any]) -> None:
    """Run one of the book's explorations, which need no network."""
    from chainrule.lab.exploring import Explorer  # and the book

    if worker.explorer is None:
        worker.explorer = Explorer()
    content, arrays = worker.explorer.explored(message)
    worker.tell("explored", arrays, id=message["id"], **content)


def share(worker: Any, message: Mapping[str, Any]) -> None:
    """Send the network as a file."""
    from chainrule.lab import sharing  # and what writes ONNX

    view = worker.begun()
    what = message["what"]
    if what in ("onnx", "checkpoint"):
        worker.save()
    with language(message["lang"]):
        name, kind, content = sharing.file(view, what, worker.shown)
    data = np.frombuffer(content, np.uint8)
    worker.tell("file", {"data": data}, id=message["id"], name=name, kind=kind)


#: By the type of a message: what answers it, for the process (its worker).
ANSWERS: dict[str, Callable[[Any, Mapping[str, Any]], None]] = {
    "look": look,
    "sample": sample,
    "element": element,
    "saliency": saliency,
    "cell": cell,
    "digit": digit,
    "sentence": sentence,
    "write": write,
    "foresee": foresee,
    "explore": explore,
    "share": share,
}
