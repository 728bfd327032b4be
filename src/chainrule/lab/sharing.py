"""A lab's network as a file: the run, Python, ONNX, a checkpoint, a picture, a page."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from chainrule import nn
from chainrule.errors import ArgumentError
from chainrule.interop.onnx.writer.export import write
from chainrule.lab.changing import told
from chainrule.lab.from_file import FromFile
from chainrule.lab.models import picture_of
from chainrule.lab.settings import SECTIONS, text_of
from chainrule.lab.steps import Shown
from chainrule.lab.watching import View
from chainrule.nn.architecture import module_spec
from chainrule.runs import RunFile
from chainrule.runs.data_section import DRAWN
from chainrule.runs.exporting import portable_run
from chainrule.runs.trained import Trained
from chainrule.text import _

#: A file: its name, its type, and its bytes.
File = tuple[str, str, bytes]


def file(view: View, what: str, shown: Shown | None) -> File:
    """Return a network as a file.

    Args:
        view: of the run.
        what: ``toml``, ``python``, ``onnx``, ``checkpoint``, ``svg`` or ``html``.
        shown: the step that is looked at, which is the page.

    Raises:
        ArgumentError: what cannot be told of this network.
    """
    return _KINDS[what](view, shown)


def _toml(view: View, shown: Shown | None) -> File:
    _refuse_file(view)
    origin = view.session.origin
    if not isinstance(origin, RunFile):
        raise ArgumentError(
            _("A recipe is no run file."), fix=f"chainrule train {origin.name}"
        )
    text = told(view.trainer) + origin.text
    return "run.toml", "application/toml", text.encode()


def _checkpoint(view: View, shown: Shown | None) -> File:
    path = view.session.directory / "last.ckpt"
    if not path.exists():
        raise _untrained()
    return "last.ckpt", "application/octet-stream", path.read_bytes()


def _onnx(view: View, shown: Shown | None) -> File:
    session = view.session
    if not (session.directory / "last.ckpt").exists():
        raise _untrained()
    origin: Any = session.origin
    if isinstance(origin, FromFile):  # whose Trainer a checkpoint alone does not make
        trained = Trained(session.directory / "last.ckpt", session.trainer, origin)  # pyright: ignore[reportArgumentType]
    else:
        trained = Trained.load(session.directory)
    path = session.directory / "model.onnx"
    write(portable_run(trained), path, 23)
    return "model.onnx", "application/octet-stream", path.read_bytes()


def _refuse_file(view: View) -> None:
    """Refuse to write a network of a file as settings: what it computes is there."""
    origin: Any = view.session.origin
    if isinstance(origin, FromFile):
        raise ArgumentError(
            _("The network is that of a file, which no settings describe."),
            expected=_("a network of layers"),
            got=origin.name,
            fix=_("share {name} itself, or ONNX and the checkpoint", name=origin.name),
        )


def _untrained() -> ArgumentError:
    return ArgumentError(
        _("The network has not been trained yet."), fix=_("make some steps first")
    )


def _svg(view: View, shown: Shown | None) -> File:
    train = view.session.parts.train
    svg = picture_of(view.trainer.model, train.take(1))
    return "network.svg", "image/svg+xml", svg.encode()


def _html(view: View, shown: Shown | None) -> File:
    if shown is None:
        raise ArgumentError(
            _("No sample is explained yet."), fix=_("choose a sample first")
        )
    return "step.html", "text/html", shown.explanation.to_html().encode()


# -- Python ----------------------------------------------------------------------------


def _python(view: View, shown: Shown | None) -> File:
    _refuse_file(view)
    origin = view.session.origin
    if not isinstance(origin, RunFile):
        raise ArgumentError(
            _("A recipe has its own Python file."),
            fix=f"python -m chainrule.recipes.{origin.name}",
        )
    text = told(view.trainer) + python(view, origin)
    return "run.py", "text/x-python", text.encode()


def python(view: View, origin: RunFile) -> str:
    """Return a Python program that trains the network as the lab does."""
    trainer = view.trainer
    spec = module_spec(trainer.model)
    own = origin.settings.data.source in (*DRAWN, "mnist")
    table = origin.settings.to_table()
    known = {*SECTIONS} >= {name for name, part in table.items() if part}
    if spec is None or not own or not known or origin.settings.optimizer.groups:
        return _of_run_file(origin)
    settings = origin.settings.training
    fit = origin.fit_options(view.session.parts.train)
    layers = "".join(f"    {_call('nn', layer)},\n" for layer in spec["modules"])
    loss = module_spec(trainer.loss)
    assert loss is not None
    optimizer = _optimizer(origin)
    data_only = _quoted(text_of({"data": table["data"]}))
    return f'''"""A network of the lab; python run.py trains it."""

import chainrule as cr
from chainrule import nn, optim, runs

DATA = """
{data_only}[model]
layers = ["Linear"]
"""

parts = runs.parse(DATA).parts()
cr.manual_seed({settings.seed})
model = nn.Sequential(
{layers})
loss = {_call("nn", loss)}
parts = parts.for_loss(loss)
trainer = cr.Trainer(
    model,
    loss=loss,
    optimizer={optimizer},
    engine={settings.engine!r},
    seed={settings.seed},
    metrics={settings.metrics!r},
    precision={settings.precision!r},
)
trainer.fit(
    parts.train,
    epochs={fit["epochs"]},
    batch_size={fit["batch_size"]},
    drop_last={fit["drop_last"]},
    validation=parts.validation,
)
if parts.test is not None:
    print(trainer.evaluate(parts.test))
'''


def _of_run_file(origin: RunFile) -> str:
    """Return a program of a run file: what is inferred from its data stays there."""
    text = _quoted(origin.text)
    return f'''"""A network of the lab; python run.py trains it, beside its data."""

from chainrule import runs

RUN = """
{text}"""

session = runs.Session.begin(runs.parse(RUN))
session.train()
if session.parts.test is not None:
    print(session.trainer.evaluate(session.parts.test))
'''


def _quoted(text: str) -> str:
    """Return text as it stands between three quotes in a program."""
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def _call(room: str, spec: Mapping[str, Any]) -> str:
    """Return a constructor's call with the arguments that are not its defaults."""
    known = inspect.signature(getattr(nn, spec["class"])).parameters
    given = {
        name: value
        for name, value in spec.get("arguments", {}).items()
        if value != known[name].default and (name, value) != ("dtype", "float32")
    }
    inner = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return f"{room}.{spec['class']}({inner})"


def _optimizer(origin: RunFile) -> str:
    """Return the optimiser's call as a program writes it."""
    settings = origin.settings
    options = dict(settings.optimizer.options)
    options.pop("params", None)
    schedule = settings.schedule
    rate = repr(options.pop("lr", settings.optimizer.lr))  # pyright: ignore[reportAttributeAccessIssue]
    if schedule.name != "Schedule":
        inner = "".join(f", {k}={v!r}" for k, v in schedule.options.items())
        rate = f"optim.{schedule.name}({rate}{inner})"
    if schedule.warmup is not None:
        rate = f"optim.LinearWarmup({rate}, {schedule.warmup})"
    inner = "".join(f", {k}={v!r}" for k, v in options.items())
    return f"optim.{settings.optimizer.name}(lr={rate}{inner})"


_KINDS: Mapping[str, Callable[[View, Shown | None], File]] = {
    "toml": _toml,
    "python": _python,
    "onnx": _onnx,
    "checkpoint": _checkpoint,
    "svg": _svg,
    "html": _html,
}
