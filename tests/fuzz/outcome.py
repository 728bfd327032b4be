"""What may come of a checkpoint: a clear error, or a Trainer that can be used."""

from __future__ import annotations

import json
import math
import signal
import tracemalloc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.numpy import load as read_tensors

import chainrule as cr
from chainrule.errors import (
    ChainruleError,
    ChainruleWarning,
    CheckpointError,
    EngineError,
)
from chainrule.training import EarlyStopping, saving

from .checkpoints import split
from .seeds import Stop

#: So long is the longest message that anybody would read.
LONGEST = 4000
#: So many warnings are one too many for one file.
STORM = 8


def load(path: Path, **options: Any) -> cr.Trainer | ChainruleError:
    """Load a checkpoint.

    Returns:
        The Trainer, or why there is none.

    Raises:
        AssertionError: any other error, a message that nobody can read, a storm of
            warnings.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = cr.Trainer.load(path, **options)
        except ChainruleError as error:
            result = error
    strange = [w for w in caught if not issubclass(w.category, ChainruleWarning)]
    assert not strange, f"warned: {strange[0].message!r}"
    assert len(caught) <= STORM, f"{len(caught)} warnings, {caught[0].message!r} first"
    if isinstance(result, ChainruleError):
        known = isinstance(result, CheckpointError | EngineError) or options
        assert known, f"{type(result).__name__}: {result}"
        check_message(result)
    return result


def check_message(error: ChainruleError) -> None:
    """It says what to do, it is short, and it can be printed."""
    text = str(error)
    assert len(text) < LONGEST, f"a message of {len(text)} characters: {text[:200]}…"
    text.encode()
    assert error.expected, text
    assert error.got, text


def examine(trainer: cr.Trainer, content: bytes) -> None:
    """A Trainer that was loaded is what its file says, and can be shown."""
    document, tensors = saving.pack(trainer)
    _same_tensors(tensors, read_tensors(content))
    said = json.loads(split(content)[0]["__metadata__"]["chainrule"])
    found = json.loads(json.dumps(document))
    for key in said.keys() & found.keys() - {"library", "model"}:
        theirs, ours = said[key], found[key]
        if key == "optimizer":
            theirs, ours = _whole(theirs), _whole(ours)
        if (key, theirs) == ("engine", "auto"):
            continue  # no Trainer writes it, and it names the engine that runs here
        assert agree(theirs, ours), (key, theirs, ours)
    history = trainer.history
    shown = [repr(trainer), repr(history), history._repr_html_()]
    json.dumps([shown, history.to_dict()], allow_nan=False).encode()
    "".join(shown).encode()
    assert trainer.finished in (True, False)
    assert 0 <= trainer.seconds_training < math.inf


def _same_tensors(tensors: dict[str, Any], held: dict[str, Any]) -> None:
    """Both hold the same bits; a record of no steps at all may be left out."""
    names = [sorted(n for n, a in d.items() if a.size) for d in (tensors, held)]
    assert names[0] == names[1], set(names[0]) ^ set(names[1])
    for name in names[0]:
        ours, theirs = tensors[name], held[name]
        same = (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        assert same, f"{name} has changed its type"
        assert ours.tobytes() == theirs.tobytes(), f"{name} has changed"


def _whole(item: dict[str, Any]) -> dict[str, Any]:
    """The settings of an optimiser whose groups say what they have of it."""
    groups = item.get("params")
    if not groups or not all(isinstance(group, dict) for group in groups):
        return item
    common = {k: v for k, v in item.items() if k not in ("params", "name", "lr")}
    groups = [{**common, **group} for group in groups]
    for group in groups:
        if isinstance(group.get("params"), str):
            group["params"] = [group["params"]]
    return {**item, "params": groups}


def agree(said: Any, found: Any) -> bool:
    """Whether what a document says is found again; what it leaves out is a default.

    The weights of classes are tensors too, and those count.
    """
    if isinstance(said, dict) and isinstance(found, dict):
        keys = said.keys() - ({"weight"} & found.keys())
        nothing = {k for k in keys - found.keys() if said[k] in (None, [], {})}
        return all(agree(said[k], found.get(k)) for k in keys - nothing)
    if isinstance(said, list) and isinstance(found, list):
        return len(said) == len(found) and all(map(agree, said, found))
    if isinstance(said, bool) or isinstance(found, bool):
        return said is found
    if isinstance(said, int) and isinstance(found, float):
        return _rounded(said) == found
    return said == found or (said != said and found != found)


def _rounded(number: int) -> float:
    """10³⁰ is no float exactly, and 10⁴⁰⁰ is none at all."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def use(trainer: cr.Trainer, data: cr.data.Dataset) -> None:
    """Predict, evaluate and resume: each works or is refused."""
    stop = Stop(trainer.optimizer.steps + 1)
    calls = [EarlyStopping("train_loss"), stop]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ChainruleWarning)
        for step in (
            lambda: trainer.predict(data.x[:2]),
            lambda: trainer.evaluate(data),
            lambda: trainer.resume(data, callbacks=calls, progress=False),
        ):
            try:
                step()
            except ChainruleError as error:
                check_message(error)


@contextmanager
def in_time(seconds: float = 20.0) -> Iterator[None]:
    """Within the block nothing hangs."""

    def late(*_: Any) -> None:
        raise AssertionError(f"still running after {seconds:g} s")

    if not hasattr(signal, "setitimer"):  # Windows
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def guarded(megabytes: int = 64, seconds: float = 20.0) -> Iterator[None]:
    """Within the block nothing hangs, or asks for much memory at once."""
    with in_time(seconds):
        tracemalloc.start()
        try:
            yield
            taken = tracemalloc.get_traced_memory()[1] >> 20
        finally:
            tracemalloc.stop()
    assert taken < megabytes, f"{taken} MB in memory"
