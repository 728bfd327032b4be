"""Checkpoints that nobody's Trainer wrote: a clear error or a right Trainer."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import nn
from chainrule.errors import ChainruleError, CheckpointError, SaveError
from chainrule.nn import architecture
from chainrule.random.generator import NoBits, stream
from chainrule.training import checkpoint
from tests.rows import table

from ..data.hostile import bounded_memory
from ..fuzz.checkpoints import joined, origin, split, wrong
from ..fuzz.dice import Dice
from ..fuzz.outcome import examine, guarded, in_time, load, use
from ..fuzz.seeds import COUNT, Seed, seed, sign
from ..nn.test_architecture import EVERY
from .conftest import raising

SHARE = 8  # of those that can be loaded so many are used: it takes 50 ms


class Attempt:
    """Loads what dice make, and counts what came of it."""

    def __init__(self, path: Path) -> None:
        self.path, self.seen = path, Counter[str]()

    def __call__(self, data: bytes) -> None:
        with in_time():
            self.load(data)

    def load(self, data: bytes) -> None:
        """Load, and use a part of what can be loaded."""
        content, right = wrong(Dice(data)), origin(Dice(data))
        self.path.write_bytes(content)
        kind = sum(data) % 16
        options = right.parts() if kind == 1 else {}
        options.pop("seed", None)
        if kind == 0:
            options = {"model": right.parts()["model"]}
        result = load(self.path, **options)
        if isinstance(result, ChainruleError):
            name = type(result).__name__
            self.seen[f"{name} {result.what.removeprefix(str(self.path))}"] += 1
            return
        self.seen["loaded"] += 1
        if not options:
            examine(result, content)
        if len(content) % SHARE == 0:
            use(result, right.data)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "wrong.ckpt"


def test_wrong_checkpoints(place: Path) -> None:
    attempt = Attempt(place)
    for number in range(COUNT):
        seed(number)  # not within an example

    @settings(max_examples=110, deadline=None, derandomize=True)
    @given(st.binary(min_size=8, max_size=48))
    def check(data: bytes) -> None:
        attempt(data)

    with bounded_memory():
        check()
    assert len(attempt.seen) > 6, attempt.seen
    assert attempt.seen["loaded"] > 5, attempt.seen


@pytest.mark.slow
def test_many_wrong_checkpoints(place: Path) -> None:
    """Each is loaded whole."""
    attempt = Attempt(place)
    for number in range(COUNT):
        seed(number)

    @settings(
        max_examples=2_000,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=8, max_size=64))
    def check(data: bytes) -> None:
        attempt(data)

    with bounded_memory():
        check()
    for what, times in attempt.seen.most_common():
        print(f"{times:7,} {what}")
    assert attempt.seen.total() >= 2_000


@pytest.mark.parametrize("number", range(COUNT))
def test_right_checkpoints_are_right(place: Path, number: int) -> None:
    right = seed(number)
    place.write_bytes(right.content)
    made = load(place)
    assert isinstance(made, cr.Trainer)
    examine(made, right.content)
    if made.plan is not None:
        made.resume(right.data, progress=False)
        assert made.finished
        assert np.isfinite(made.history.steps["loss"]).all()


def test_the_search_finds_a_fault(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check of the document many a wrong one gets through."""
    monkeypatch.setattr("chainrule.training.document.check", lambda *_: None)
    attempt, faults = Attempt(place), set[type[BaseException]]()
    for number in range(150):
        try:
            attempt(np.random.default_rng(number).bytes(48))
        except Exception as error:
            faults.add(type(error))
            if {KeyError, TypeError} <= faults:
                return
    raise AssertionError(faults)


# -- one by one ------------------------------------------------------------------------


def changed(right: Seed, *keys: Any, to: Any) -> bytes:
    """The checkpoint with another value at a place of its document."""
    altered = copy.deepcopy(right.document)
    inner: Any = altered
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    return sign(json.dumps(altered), right.tensors)


def refused(path: Path, content: bytes, *parts: str) -> None:
    path.write_bytes(content)
    with guarded(), pytest.raises(CheckpointError) as error:
        cr.Trainer.load(path)
    for part in (*parts, "expected:", "got:", "fix:"):
        assert part in str(error.value)


LOSS = ["losses", 0, "loss"]
ROW = {"epoch": 1, "train_loss": 1.0, "lr": 0.1, "seconds": 1.0}


@table(
    ("keys", "value", "expected"),
    [
        (["architecture"], {"class": 5, "modules": []}, "'architecture'"),
        (["architecture"], {"class": "Sequential", "modules": [5]}, "'architecture'"),
        (["architecture", "more"], 1, "'architecture'"),
        (LOSS, {"class": "MSELoss", "arguments": []}, "'losses.0.loss': a description"),
        (["losses"], [], "'losses'"),
        (["losses", 0, "output"], 1, "losses of different outputs"),
        (["losses", 0, "weight"], -1.0, "'losses.0.weight'"),
        (["optimizer_steps"], -1, "'optimizer_steps'"),
        (["ema_decay"], 1.0, "'ema_decay'"),
        (["ema_decay"], 0.5, "another architecture"),
        (["plan", "accumulate"], 0, "'plan.accumulate'"),
        (["optimizer"], {"name": "Adam"}, "'optimizer.lr': Field required"),
        (["updates"], -1, "'updates': greater than or equal to 0"),
        (["updates"], 2**53, f"'updates': less than {2**53}"),
        (["seed"], 2**64, "'seed'"),
        (["engine"], "x" * 50, "'engine'"),
        (["epoch"], 1.0, "'epoch': a valid integer"),
        (["seconds"], float("nan"), "'seconds': a finite number"),
        (["plan"], 5, "'plan': a valid dictionary"),
        (["frozen"], "0.weight", "'frozen': a valid list"),
        (["frozen"], ["9.bias"], "9.bias"),
        (["epochs"], [{**ROW, "accuracy": "good"}], "'epochs.0.accuracy'"),
        (["epochs"], [{**ROW, "accuracy": 10**400}], "'epochs.0.accuracy'"),
        (["epochs"], [{**ROW, "seconds": -1}], "'epochs.0.seconds'"),
        (["epochs"], [ROW, ROW], "epochs whose numbers grow"),
        (["metrics"], ["accuracy"], "'metrics.0'"),
        (["metrics"], [{"class": "R2"}], "'metrics.0'"),
        (["plan", "class_names"], [1, 2, 3], "'plan.class_names.0'"),
        (["plan", "class_names"], [], "'plan.class_names'"),
        (["plan", "block"], 0, "'plan.block'"),
        (["plan", "scales"], {"x": float("inf")}, "'plan.scales.x': a finite number"),
        (["callbacks"], {"Mine": 5}, "'callbacks.Mine': a valid dictionary"),
        (["callbacks"], {"M": {"x": {"__array__": "no"}}}, "an array for each"),
        (["starts"], {"train": -1}, "'starts.train'"),
        (["plan", "epochs"], 0, "'plan.epochs'"),
        (["plan", "batch_size"], 0, "'plan.batch_size'"),
        (["plan", "batch_size"], 10**400, "'plan.batch_size'"),
        (["plan", "block"], 12, "whole batches"),
        (["plan", "more"], 1, "'plan.more'"),
        (["epoch"], 9, "epochs 0 … 2 of 3 steps"),
        (["step"], 4, "epochs 0 … 2 of 3 steps"),
        (["plan", "rows"], 10**6, "the losses of"),
        (["metrics"], [{"class": "TopK", "arguments": {"k": -1}}], "cannot build"),
        (["metrics"], [{"class": "List", "arguments": {}}], "cannot build"),
        (["probes"], ["dead/9"], "do not fit together"),
        (["optimizer", "params"], [{"params": ["9.weight"]}], "do not fit together"),
        (["optimizer", "lr", "total_steps"], "x", "cannot build"),
        (LOSS, {"class": "Linear", "arguments": {"in_features": 1}}, "cannot"),
        (LOSS, {"class": "ReLU", "arguments": {}}, "loss is none"),
        (["architecture"], {"class": "MSELoss", "arguments": {}}, "model is none"),
    ],
)
def test_documents_that_are_none(
    place: Path, keys: list[str], value: Any, expected: str
) -> None:
    content = changed(seed(1), *keys, to=value)
    if value == 10**6:
        header, _ = split(content)
        altered = json.loads(header["__metadata__"]["chainrule"])
        altered["epoch"], altered["step"] = 0, 100_000
        content = sign(json.dumps(altered), seed(1).tensors)
    refused(place, content, expected)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("", "EOF"),
        ("[1]", "no object"),
        ("[" * 100_000, "recursion"),
        ("9" * 5000, "out of range"),
        ('{"a": "\\ud800"}', "hex escape"),
        ('{"notes": {}, "notes": {}}', "'epoch': Field required"),
    ],
)
def test_texts_that_are_no_documents(place: Path, text: str, got: str) -> None:
    refused(place, sign(text, seed(0).tensors), got)


def test_a_network_as_deep_as_json_goes(place: Path) -> None:
    spec: Any = {"class": "ReLU", "arguments": {}}
    for _ in range(95):
        spec = {"class": "Sequential", "modules": [spec]}
    refused(place, changed(seed(0), "architecture", to=spec), "another architecture")


def test_a_character_of_two_halves(place: Path) -> None:
    text = json.dumps({**seed(0).document, "notes": {"who": "😀"}})
    assert "\\ud83d" in text
    place.write_bytes(sign(text, seed(0).tensors))
    assert cr.Trainer.load(place).notes == {"who": "😀"}


@pytest.mark.parametrize(
    ("name", "array", "expected"),
    [
        ("history/train/x", np.zeros(7, np.float32), "one column of floats a probe"),
        ("history/train/x", np.zeros(6, np.int32), "one column of floats a probe"),
        ("history/train/x", np.zeros((), np.float32), "one column of floats a probe"),
        ("callbacks/Mine", np.zeros(2), "arrays that the document names"),
        ("model/9.weight", np.zeros(2), "another architecture"),
        ("", np.zeros(2), "arrays that the document names"),
        ("history//loss", np.zeros(6, np.float32), "one column of floats a probe"),
    ],
)
def test_tensors_that_are_nobodys(
    place: Path, name: str, array: np.ndarray, expected: str
) -> None:
    right = seed(1)
    text = json.dumps(right.document)
    refused(place, sign(text, {**right.tensors, name: array}), expected)
    without = {k: a for k, a in right.tensors.items() if k != "history/train/loss"}
    refused(place, sign(text, without), "'history'")


# -- what would take the memory --------------------------------------------------------


def test_a_large_layer_is_refused_before_it_is_built(place: Path) -> None:
    """For every layer: sizes that no memory holds, and some that it would."""
    huge = [("Linear", "in_features", "out_features"), ("Perceptron", "in_features")]
    huge += [("Embedding", "num_embeddings", "embedding_dim")]
    huge += [(name, "num_features") for name in ("BatchNorm1d", "Standardize")]
    for layer, *names in huge:
        for size in (10**12, 10**9, 10**400, 300_000):
            sizes = dict.fromkeys(names, size)
            first = {"class": layer, "arguments": sizes}
            for spec in (first, {"class": "Sequential", "modules": [first] * 3}):
                refused(place, changed(seed(0), "architecture", to=spec), "cannot")
    spec = {"class": "LayerNorm", "arguments": {"normalized_shape": [10**6, 10**6]}}
    refused(place, changed(seed(0), "architecture", to=spec), "1e+12 weights")
    refused(place, changed(seed(0), *LOSS, to=spec), "1e+12 weights")
    many = {"class": "Linear", "arguments": {"in_features": 200, "out_features": 200}}
    spec = {"class": "Sequential", "modules": [many] * 3000}
    refused(place, changed(seed(0), "architecture", to=spec), "1.2e+08 weights")


def test_every_layer_says_how_large_it_is() -> None:
    """What is annotated ``Count`` covers whatever layer there is."""
    for layer in EVERY:
        spec = architecture.module_spec(layer)
        given = ("weight", "pos_weight") if isinstance(layer, nn.Loss) else ()
        tensors = [t for name, t in layer.named_tensors() if name not in given]
        largest = max((t.numpy().size for t in tensors), default=0)
        # A layer with sizes and without parameters counts as if it had some.
        if architecture.elements(spec) < largest:  # then what it draws is counted
            with pytest.raises(ChainruleError, match="weights"), stream(NoBits(0)):
                architecture._build(spec)


@pytest.mark.parametrize("shape", [[0, 2**64 - 1], [2**63, 2**63], [0] * 70, [-1]])
def test_shapes_that_no_array_has(place: Path, shape: list[int]) -> None:
    header, body = split(seed(0).content)
    header["history/train/loss"] = {
        "dtype": "F32",
        "shape": shape,
        "data_offsets": [0, 0],
    }
    refused(place, joined(header, body), "whole tensors")


def test_a_file_that_is_no_checkpoint_is_not_read_to_its_end(place: Path) -> None:
    """A sparse file of a terabyte."""
    try:
        with open(place, "wb") as file:
            file.write((2).to_bytes(8, "little") + b"{}")
            file.truncate(10**12)
    except OSError:
        pytest.skip("no file of that size here")
    with guarded(1), pytest.raises(CheckpointError, match="no checkpoint"):
        cr.Trainer.load(place)
    place.unlink()


# -- what cannot be written ------------------------------------------------------------


@pytest.mark.parametrize(
    ("notes", "got"),
    [
        ({"model": nn.ReLU()}, "not JSON serializable"),
        ({"path": "\udcff"}, "surrogates not allowed"),
        ({"x": np.float32(1)}, "float32 is not JSON"),
        ({1: 2, "a": 3}, "not supported between"),
    ],
)
def test_notes_that_json_does_not_have(
    place: Path, notes: dict[Any, Any], got: str
) -> None:
    place.write_bytes(seed(0).content)
    made = cr.Trainer.load(place)
    made.notes = notes
    with raising(SaveError, "cannot hold", got):
        made.save(place)
    assert place.read_bytes() == seed(0).content


def test_notes_that_lie_too_deep_are_refused_when_written(place: Path) -> None:
    place.write_bytes(seed(0).content)
    made = cr.Trainer.load(place)
    notes: dict[str, Any] = {}
    for _ in range(checkpoint.DEPTH - 2):
        notes = {"in": notes}
    made.notes = notes
    made.save(place)
    assert cr.Trainer.load(place).notes == notes
    made.notes = {"in": notes}
    with pytest.raises(SaveError, match="100 values in each other"):
        made.save(place)
    made.notes["itself"] = made.notes
    with pytest.raises(SaveError, match="Circular"):
        made.save(place)
