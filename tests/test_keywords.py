"""Keywords of other libraries: refused with what to write instead, everywhere."""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import chainrule as cr
from chainrule import metrics, nn, optim, training
from chainrule.errors import ArgumentError, CallError, ChainruleError
from chainrule.util.keywords import strict
from chainrule.util.pytorch_hints import KEYWORDS
from tests.rows import failures

#: Namespaces whose public names are checked.
SPACES: list[Any] = [cr.data, nn, optim, metrics, training]
#: Callables of the package itself, and methods.
OWN: list[Any] = [
    *(cr.Trainer, cr.save, cr.load, cr.summary, cr.compile, cr.check_gradients),
    *(cr.explain, cr.Trainer.load, cr.data.Dataset.from_frame),
]
#: Methods that are called on an object that is none of theirs.
METHODS: list[Any] = [
    *(cr.Trainer.fit, cr.Trainer.resume, cr.Trainer.evaluate, cr.Trainer.predict),
    *(cr.Trainer.save, cr.Trainer.profile, cr.data.Dataset.split),
    *(cr.data.Dataset.folds, cr.data.Dataset.batches, cr.data.Dataset.take),
    *(cr.data.Dataset.rows, cr.data.Stream.blocks),
]
#: Classes that are not made by users, and records with a constructor of Python's own.
LEFT_OUT = {
    *("Features", "Examined", "TableReport", "History", "IncompatibleKeys", "RunState"),
    *(
        "StepInputs",
        "Plan",
        "Callback",
        "BatchSource",
        "Transition",
        "ParamGroup",
        "Parameter",
        "UninitializedParameter",
    ),
    "Optimizer",  # whose subclasses have the arguments
    "Identity",  # takes whatever it is given
}


def public(space: Any) -> Iterator[tuple[str, Any]]:
    for name in getattr(space, "__all__", ()):
        item = getattr(space, name)
        if isinstance(item, type) and not issubclass(item, Warning | Exception):
            yield f"{space.__name__}.{name}", item


def refused(call: Any, who: str) -> str:
    with pytest.raises(ChainruleError) as caught:
        call(bananas=1)
    said = str(caught.value)
    assert "bananas" in said, who
    return said


def test_classes() -> None:
    def check(kind: type) -> None:
        with pytest.raises((CallError, ChainruleError)) as caught:
            kind(bananas=1)
        assert "bananas" in str(caught.value)

    kinds = [
        (name, (kind,))
        for space in SPACES
        for name, kind in public(space)
        if name.rpartition(".")[2] not in LEFT_OUT and not inspect.isabstract(kind)
    ]
    assert len(kinds) > 150
    assert not failures(check, kinds)


@pytest.mark.parametrize("item", OWN, ids=lambda item: item.__qualname__)
def test_functions(item: Any) -> None:
    given = {"frame": {"a": [1.0, 2.0], "y": [1.0, 2.0]}, "target": "y"}
    call = item
    if item.__name__ == "from_frame":
        call = lambda **how: item(**given, **how)  # noqa: E731
    refused(call, item.__qualname__)


@pytest.mark.parametrize("method", METHODS, ids=lambda item: item.__qualname__)
def test_methods(method: Any) -> None:
    refused(lambda **how: method(None, **how), method.__qualname__)


def test_every_reader_of_files() -> None:
    for name in ("read_csv", "read_npz", "read_idx", "read_text", "image_folder"):
        refused(getattr(cr.data, name), name)
    for name in (
        "mnist",
        "xor",
        "moons",
        "circles",
        "spiral",
        "blobs",
        "plane",
        "hills",
    ):
        refused(getattr(cr.data, name), name)


@pytest.mark.parametrize(
    ("call", "fix"),
    [
        (lambda: trainer(device="cpu"), "all tensors are on the CPU"),
        (lambda: trainer(max_epochs=3), "epochs="),
        (lambda: trainer().fit(DATA, epochs=1, verbose=0), "progress=False"),
        (lambda: trainer().fit(DATA, epochs=1, validation_split=0.1), "data.split"),
        (lambda: trainer().fit(DATA, epochs=1, shuffle=True), "seed"),
        (lambda: trainer().fit(DATA, epochs=1, validaton=DATA), "'validation'"),
        (lambda: cr.data.Dataset(*DATA).split(0.5, random_state=1), "seed="),
        (lambda: cr.data.read_csv("x", target="y", sep=";"), "delimiter="),
        (lambda: trainer().fit(x=[[1.0]], y=[[1.0]], epochs=1), "fit((x, y)"),
        (lambda: trainer().evaluate(DATA, y=[[1.0]]), "(x, y) as one argument"),
        (lambda: nn.functional.gelu([1.0], y=1), "leave it out"),
        (lambda: frame(format={}), "data.read(frame, format=…)"),
        (lambda: frame(shape=3), "leave it out"),
        (lambda: optim.Adam(fused=True), "one program"),
        (lambda: nn.MSELoss(size_average=True), "reduction="),
    ],
)
def test_what_is_written_instead(call: Any, fix: str) -> None:
    with pytest.raises(CallError, match=re.escape(fix)):
        call()


@pytest.mark.parametrize("build", [nn.Linear, strict(lambda a: a)])
def test_of_several_unknown_keywords_the_first_is_named(build: Any) -> None:
    for names in itertools.permutations(("bananas", "cherries", "dates", "figs")):
        with pytest.raises(CallError, match=f"no argument '{names[0]}'"):
            build(**dict.fromkeys(names, 1))


def test_an_input_that_is_passed_twice() -> None:
    x = cr.tensor([1.0])
    for call in (
        lambda: nn.functional.gelu(x, input=x),
        lambda: nn.functional.mse_loss(x, x, target=x),
    ):
        with pytest.raises(ArgumentError, match=r"(input|target) is given once"):
            call()


DATA = [[1.0], [2.0]], [[1.0], [2.0]]


def trainer(**more: Any) -> cr.Trainer:
    how: dict[str, Any] = {"loss": nn.MSELoss(), "optimizer": optim.SGD(lr=0.1)}
    return cr.Trainer(nn.Linear(1, 1), **how, engine="numpy", **more)


def frame(**more: Any) -> cr.data.Dataset:
    return cr.data.Dataset.from_frame({"a": [1.0, 2.0]}, target=False, **more)


def test_what_is_known_stays_free() -> None:
    """A hint is for what nothing takes: no function of ours has such a keyword."""

    @strict
    def f(x: int, *, y: int = 2) -> int:
        return x + y

    assert f(1) == f(x=1) == f(1, y=2) == 3
    assert list(inspect.signature(f).parameters) == ["x", "y"]
    for module in pkgutil.iter_modules(cr.__path__):
        assert module.name not in KEYWORDS, importlib.import_module
