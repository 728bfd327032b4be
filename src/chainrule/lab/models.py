"""Networks of one's own files: ONNX, Python and texts; with data where one gives some.

A Python file is a program, which opening it runs. So only the command line opens one:
no message of a page names a file. Of a text the network is one that reads it.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.data import Dataset
from chainrule.data.adapter import as_data
from chainrule.data.column import Column
from chainrule.errors import ArgumentError, ChainruleError, DataError
from chainrule.graph.context import no_grad
from chainrule.lab import characters, protocol
from chainrule.nn import Module
from chainrule.nn.traced import called
from chainrule.primitives.rules import show
from chainrule.runs.source import Parts
from chainrule.tensor import Tensor, tensor
from chainrule.text import _, ngettext
from chainrule.training import Trainer
from chainrule.training.feeding import fed

#: What a Python file may call its data, by the part of them.
DATA = {"train": ("train", "data"), "validation": ("validation",), "test": ("test",)}
#: Samples on which a network is tried, and whose sum of probabilities is looked at.
TRIED = 8
#: How far a sum of probabilities is from 1 at most.
_CLOSE = 1e-3


@dataclass(frozen=True)
class Target:
    """A file of a network, as the command line names it.

    Attributes:
        path: of the file.
        name: what of a Python file is opened; empty: what there is one of.
    """

    path: Path
    name: str = ""

    @classmethod
    def of(cls, target: str) -> Target | None:
        """Return the file of a network that a target names; None: something else.

        >>> Target.of("net.onnx").said, Target.of("nets/mine.py:make").said
        ('net.onnx', 'mine.py:make')
        >>> Target.of("plays/hamlet.txt").said, Target.of("gpt").said
        ('hamlet.txt', 'gpt')
        >>> Target.of("houses.toml") is None
        True
        """
        if target.lower().endswith((".onnx", ".py", characters.SUFFIX)):
            return cls(Path(target))
        if target in characters.RECIPES and not Path(target).exists():
            return cls(Path(target))
        path, colon, name = target.rpartition(":")
        if colon and path.lower().endswith(".py"):
            return cls(Path(path), name)
        return None

    @property
    def said(self) -> str:
        """The name of the file, and what of it, as the page says it."""
        return self.path.name + (f":{self.name}" if self.name else "")

    @property
    def reads(self) -> bool:
        """A flag: the target is a text, or a recipe with one, which a network reads."""
        text = self.path.suffix.lower() == characters.SUFFIX
        return text or str(self.path) in characters.RECIPES

    def proposed(self) -> dict[str, Any]:
        """Return the run of the file's own data and network, as a page says it.

        Raises:
            ChainruleError: of a text: it cannot be read.
        """
        if not self.reads:
            return {"data": {"source": self.said}, "model": {"file": self.said}}
        length = characters.MOST
        if str(self.path) not in characters.RECIPES:
            length = len(characters.text_of(self.path))
        return characters.start(self.said, length)

    def check(self) -> None:
        """Refuse a file that is none.

        Raises:
            ArgumentError: it; a recipe whose package is not installed.
        """
        if str(self.path) in characters.RECIPES:
            characters.need(str(self.path))
            return
        if not self.path.is_file():
            raise ArgumentError(
                _("There is no file {path}.", path=repr(str(self.path))),
                expected=_(
                    "an ONNX file, a text (.txt), or FILE.py:NAME of a Python file"
                ),
                got=_("a directory")
                if self.path.is_dir()
                else _("no regular file")
                if self.path.exists()
                else _("no such path"),
            )

    def load(self, said: Mapping[str, Any]) -> Opened:
        """Return what the file gives. A Python file is run.

        Args:
            said: of a text: which network reads it, see :class:`.characters.Reading`.

        Raises:
            ChainruleError: nothing that the lab can show.
        """
        self.check()
        if self.reads:
            model, parts = characters.opened(self.path, said)
            return Opened(self, model, parts=parts)
        if self.path.suffix.lower() == ".onnx":
            return Opened(self, cr.load_onnx(self.path))
        return _of_python(self)


@dataclass(frozen=True)
class Opened:
    """The contents of a file: a network, and perhaps a Trainer and data.

    Attributes:
        target: the file.
        model: the network.
        trainer: that the file makes of it.
        parts: data that the file gives.
    """

    target: Target
    model: Module
    trainer: Trainer | None = None
    parts: Parts | None = None

    @property
    def shapes(self) -> list[tuple[Any, ...]] | None:
        """The shapes of the network's inputs, where its file declares them."""
        declared = getattr(self.model, "input_shapes", None)
        if self.target.path.suffix.lower() != ".onnx" or declared is None:
            return None
        return None if None in declared else [*declared]

    def described(self) -> dict[str, Any]:
        """Return what a page is told of it, before there are data, as JSON."""
        inputs = self.shapes
        return {
            "name": self.target.said,
            "inputs": None if inputs is None else [_shown(shape) for shape in inputs],
            "data": self.parts is not None,
            "trainer": self.trainer is not None,
            "reads": self.target.reads,
            "parameters": sum(
                math.prod(p.shape) for p in self.model.parameters() if p.requires_grad
            ),
        }

    def picture(self) -> dict[str, Any]:
        """Return the network's picture as SVG, as JSON; or why there is none."""
        given: Any = None
        if self.target.reads and self.parts is not None:
            return {"picture": picture_of(self.model, self.parts.train.take(1))}
        if (shapes := self.shapes) is not None and len(shapes) == 1:
            given = shapes[0][1:]
        try:
            if given is not None and not all(isinstance(n, int) for n in given):
                raise ArgumentError(
                    _("The file leaves sizes open, so there is no picture yet."),
                    expected=_("sizes of one sample"),
                    got=_shown(given),
                    fix=_("choose data: they have sizes"),
                )
            return {"picture": picture_of(self.model, given)}
        except (Exception, SystemExit) as error:  # noqa: BLE001 - of its forward
            return {"picture": None, "why": protocol.error_of(error)}

    # -- beside data -------------------------------------------------------------------

    def fitted(self, train: Dataset) -> Module:
        """Return the network for samples of data: rows of pixels become pictures.

        Raises:
            ArgumentError: the data do not fit the network.
        """
        model = self.model
        one: Any = train.rows(range(min(len(train), 2))).x
        sample, shapes = tuple(one.shape[1:]), self.shapes
        wanted = shapes[0][1:] if shapes is not None and len(shapes) == 1 else None
        if wanted is not None and sample != wanted and _is_picture(sample, wanted):
            model = nn.Sequential(nn.Unflatten(1, wanted), model)
        output = self._tried(model, one)
        if not isinstance(output, Tensor) or output.ndim < 1:
            raise ArgumentError(
                _("The lab trains networks with one output."),
                expected=_("a tensor, a row for each sample"),
                got=_("a number")
                if isinstance(output, Tensor)
                else type(output).__name__,
                fix=_("make a module of it whose forward returns one of them"),
            )
        return model

    def _tried(self, model: Module, x: Any) -> Any:
        training = model.training
        try:
            with no_grad(), np.errstate(all="ignore"):
                model.eval()
                return called(model, given(model, x))
        except (Exception, SystemExit) as error:
            said = error if isinstance(error, ChainruleError) else None
            why = protocol.told(error) if said is None else said.what
            raise ArgumentError(
                _("The data do not fit the network of {name}.", name=self.target.said),
                expected=self._wanted(),
                got=_("samples of {given}: {why}", given=_samples(x), why=why),
                fix=_("choose other data, or their size; {more}", more=said.fix)
                if said is not None and said.fix
                else _("choose other data, or their size"),
            ) from error
        finally:
            model.train(training)

    def _wanted(self) -> str:
        shapes = self.shapes
        if shapes is None:
            return _("samples that its forward takes")
        said = ", ".join(_shown(shape[1:]) for shape in shapes)
        if any(shape and isinstance(shape[0], int) for shape in shapes):
            return _(
                "samples of shape {said}; the file takes exactly {n} at a time, "
                "so export it with a batch of any size",
                said=said,
                n=shapes[0][0],
            )
        return _("samples of shape {said}", said=said)


def check_inputs(train: Dataset) -> None:
    """Refuse samples of several inputs or targets, which the lab cannot show.

    Raises:
        ArgumentError: them.
    """
    for name, several in (("x", train.x), ("y", train.y)):
        if isinstance(several, Mapping | tuple):
            raise ArgumentError(
                _("The lab shows networks with one input and one output."),
                expected=_("samples (x, y) of one array each"),
                got=ngettext(
                    "{n} array of {name}",
                    "{n} arrays of {name}",
                    n=len(several),
                    name=name,
                ),
                fix=_("join them in one array, which forward takes apart"),
            )


def picture_of(model: Module, sample: Any) -> str:
    """Return the picture of a network as SVG, as a file of its own has it."""
    svg = model.picture(sample).to_svg()
    if "xmlns=" in svg:
        return svg
    return svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)


def gives_probabilities(model: Module, train: Dataset) -> bool:
    """Return whether a network's rows for samples are probabilities of classes."""
    x: Any = train.rows(range(min(len(train), TRIED))).x
    training = model.training
    with no_grad(), np.errstate(all="ignore"):
        output = called(model.eval(), given(model, x)).numpy()
    model.train(training)
    if output.ndim != 2 or output.shape[1] < 2:
        return False
    return bool((output >= 0).all() and (np.abs(output.sum(1) - 1) < _CLOSE).all())


def given(model: Module, x: Any) -> Any:
    """Return samples as tensors that a network takes: tokens stay whole numbers."""
    return tensor(fed(model, x) if isinstance(x, Column) else np.asarray(x[:]))


def _is_picture(sample: tuple[int, ...], wanted: tuple[Any, ...]) -> bool:
    """Return whether rows are the pixels of pictures that a network wants."""
    if len(sample) != 1 or len(wanted) not in (2, 3):
        return False
    return all(isinstance(n, int) for n in wanted) and math.prod(wanted) == sample[0]


def _samples(x: Any) -> str:
    return f"{show(tuple(x.shape[1:]))} {np.asarray(x[:]).dtype}"


def _shown(shape: tuple[Any, ...]) -> str:
    """Return a declared shape as text.

    >>> _shown(("N", 1, 28, None)), _shown((4,))
    ('(N, 1, 28, ?)', '(4,)')
    """
    inner = ", ".join("?" if n is None else str(n) for n in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


# -- Python ----------------------------------------------------------------------------


def _of_python(target: Target) -> Opened:
    module = _run(target)
    name, found = _named(target, vars(module))
    given: list[Any] = []
    if isinstance(found, type) or not isinstance(found, Module | Trainer):
        with _of_the_file(target, name):
            found = found()
        if isinstance(found, tuple) and found:
            found, *given = found
    if not isinstance(found, Module | Trainer):
        raise _no_network(
            target, _("{name} is of {kind}", name=name, kind=type(found).__name__)
        )
    data = dict(zip(DATA, given)) or _data_of(vars(module))
    trainer = found if isinstance(found, Trainer) else None
    model = trainer.model if trainer is not None else found
    with _of_the_file(target, target.path.name):  # its data may be objects of its own
        parts = _parts(target, data)
    return Opened(target, model, trainer, parts)  # pyright: ignore[reportArgumentType]


def _run(target: Target) -> Any:
    """Run a Python file under its own name, so not as the program that it may be."""
    path = target.path.resolve()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if path.stem not in sys.modules:
        sys.modules[path.stem] = module  # where pickle and dataclasses look for it
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))  # for what it imports
    with _of_the_file(target, target.path.name):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _of_the_file(target: Target, name: str) -> Iterator[None]:
    """Say of an error that the file's own code has raised, and where."""
    try:
        yield
    except ChainruleError:
        raise
    except BaseException as error:
        where, line = target.path.name, _line_of(error, target.path.resolve())
        if isinstance(error, SyntaxError) and error.filename:
            where, line = Path(error.filename).name, error.lineno
        where = where if line is None else f"{where}:{line}"
        fix = _("look at {where}", where=where)
        if isinstance(error, SystemExit | KeyboardInterrupt):
            fix = _('put what trains or ends below if __name__ == "__main__"')
        raise DataError(
            _("{name} cannot be run.", name=name),
            expected=_("Python that makes a network when it is imported"),
            got=f"{where}: {protocol.told(error)}",
            fix=fix,
        ) from error


def _line_of(error: BaseException, path: Path) -> int | None:
    """Return the line of a file in which an error came up last; None: in none."""
    place, line = error.__traceback__, None
    while place is not None:
        if Path(place.tb_frame.f_code.co_filename) == path:
            line = place.tb_lineno
        place = place.tb_next
    return line


def _named(target: Target, names: Mapping[str, Any]) -> tuple[str, Any]:
    """Return what of a file is opened: what is named, or the one that there is."""
    if target.name:
        if target.name in names and (
            callable(names[target.name])
            or isinstance(names[target.name], Module | Trainer)
        ):
            return target.name, names[target.name]
        raise _no_network(
            target, _("no network called {name}", name=repr(target.name)), names
        )
    for kind in (Trainer, Module):
        found = {k: v for k, v in names.items() if isinstance(v, kind)}
        if len({id(v) for v in found.values()}) == 1:
            return next(iter(found.items()))
        if found:
            raise _no_network(target, _("several: {n}", n=", ".join(found)), names)
    own = {
        k: v
        for k, v in names.items()
        if isinstance(v, type)
        and issubclass(v, Module)
        and v.__module__ == target.path.stem
    }
    if len(own) == 1:
        return next(iter(own.items()))
    got = _("several: {n}", n=", ".join(own)) if own else _("none")
    raise _no_network(target, got, names)


def _no_network(
    target: Target, got: str, names: Mapping[str, Any] | None = None
) -> ArgumentError:
    known = [
        name
        for name, value in (names or {}).items()
        if not name.startswith("_")
        and getattr(value, "__module__", target.path.stem) == target.path.stem
        and (isinstance(value, Module | Trainer) or callable(value))
    ]
    fix = _("chainrule lab {file}:NAME", file=target.path.name)
    if known:
        fix = _(
            "chainrule lab {file}:NAME, with {names}",
            file=target.path.name,
            names=", ".join(known[:8]),
        )
    return ArgumentError(
        _("Which network of {file} is meant is not known.", file=target.path.name),
        expected=_("a Module or a Trainer, or a function that returns one"),
        got=got,
        fix=fix,
    )


def _data_of(names: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file's variables that are data, by part."""
    found: dict[str, Any] = {}
    for part, variables in DATA.items():
        for name in variables:
            value = names.get(name)
            if isinstance(value, Dataset | tuple) or hasattr(value, "to_data"):
                found.setdefault(part, value)
    return found if "train" in found else {}


def _parts(target: Target, data: Mapping[str, Any]) -> Parts | None:
    """Return the data of a file as those of a run; None where there are none.

    Raises:
        ArgumentError: they are none, or a stream, of which no sample can be chosen.
    """
    if not data:
        return None
    made: dict[str, Dataset] = {}
    for part, value in data.items():
        if value is None:
            continue
        found = as_data(value)
        if not isinstance(found, Dataset):
            raise ArgumentError(
                _("The lab chooses single samples, which a stream does not have."),
                expected=_("a Dataset, or a pair (x, y) of arrays"),
                got=_("{part} of {file}", part=part, file=target.path.name),
            )
        made[part] = found
    if "train" not in made:
        return None
    train = made["train"]
    check_inputs(train)
    count = _classes(made)
    if train.classes is None and count is not None:
        for part in made.values():
            part.classes = count
    return Parts(train, made.get("validation"), made.get("test"), rows=len(train))


def _classes(parts: Mapping[str, Dataset]) -> int | None:
    """Return how many classes labels name: one whole number a sample; None: others."""
    labels = [part.y for part in parts.values()]
    if any(isinstance(y, Mapping | tuple) for y in labels):
        return None
    arrays = [np.asarray(y[:]) for y in labels]
    if not all(a.ndim == 1 and a.dtype.kind in "iu" and a.size for a in arrays):
        return None
    low, high = min(int(a.min()) for a in arrays), max(int(a.max()) for a in arrays)
    return high + 1 if low >= 0 and high > 0 else None
