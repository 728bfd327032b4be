"""Several inputs, several outputs, and losses over them."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.metrics import evaluation
from chainrule.random import permutation
from chainrule.utils import data as loading

from .conftest import CtrlC, raising, same, without_time

ROWS = 30
OPTIONS: dict[str, Any] = {"epochs": 2, "batch_size": 8, "progress": False}


class Rated(nn.Module):
    """Takes rows of an embedding, and measurements; gives a class and a quantity."""

    def __init__(self, dropout: float = 0.0) -> None:
        self.user, self.meta = nn.Embedding(5, 4), nn.Linear(3, 4)
        self.drop = nn.Dropout(dropout)
        self.label, self.size = nn.Linear(4, 3), nn.Linear(4, 1)

    def forward(self, meta: cr.Tensor, user: cr.Tensor) -> Any:
        h = self.drop((self.meta(meta) + self.user(user)).tanh())
        return {"size": self.size(h), "label": self.label(h)}


class Ordered(nn.Module):
    """The same, by place."""

    def __init__(self, inner: nn.Module) -> None:
        self.inner = inner

    def forward(self, meta: cr.Tensor, user: cr.Tensor) -> Any:
        outputs = self.inner(meta, user)
        return [outputs["label"], outputs["size"]]


def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    meta = rng.normal(size=(ROWS, 3)).astype(np.float32)
    return {"user": rng.integers(0, 5, ROWS), "meta": meta}


def targets() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    size = rng.normal(size=(ROWS, 1)).astype(np.float32)
    return {"label": rng.integers(0, 3, ROWS), "size": size}


LOSSES = {"label": nn.CrossEntropyLoss(weight=[1.0, 2.0, 3.0]), "size": nn.MSELoss()}
HALF = {"size": 0.5}


def network(dropout: float = 0.0) -> Rated:
    cr.manual_seed(0)
    return Rated(dropout)


def trainer(**options: Any) -> cr.Trainer:
    options = {
        "model": network(),
        "loss": LOSSES,
        "loss_weights": HALF,
        "optimizer": optim.SGD(lr=0.1),
        "engine": "numpy",
        **options,
    }
    return cr.Trainer(**options)


def total(outputs: Any, truth: Any) -> cr.Tensor:
    label = LOSSES["label"](outputs["label"], truth["label"])
    return label + 0.5 * LOSSES["size"](outputs["size"], truth["size"])


def by_hand() -> tuple[nn.Module, list[float]]:
    """A loop of eager code over the same batches: the weights, and the losses."""
    model, x, y = network(), inputs(), targets()
    optimizer, losses = optim.SGD(model.parameters(), lr=0.1), list[float]()
    for epoch in range(2):
        order = permutation(ROWS, 0, epoch)
        for start in range(0, ROWS, 8):
            rows = order[start : start + 8]
            outputs = model(**{k: cr.tensor(a[rows]) for k, a in x.items()})
            loss = total(outputs, {k: cr.tensor(a[rows]) for k, a in y.items()})
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return model, losses


def close(model: nn.Module, other: nn.Module) -> None:
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


def pairs() -> Iterator[Any]:
    x, y = inputs(), targets()
    for i in range(ROWS):  # the order of the keys says nothing
        turn = reversed if i % 2 else list
        yield tuple({k: part[k][i] for k in turn([*part])} for part in (x, y))


class Samples(loading.Dataset[Any]):
    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, i: Any) -> Any:
        x, y = inputs(), targets()
        return {k: a[i] for k, a in x.items()}, {k: a[i] for k, a in y.items()}


def in_order(tree: dict[str, Any], *keys: str) -> tuple[Any, ...]:
    return tuple(tree[key] for key in keys)


# -- training ----------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["parts", "own"])
def test_as_a_loop_by_hand(engine: str, loss: str) -> None:
    options = {"loss": LOSSES, "loss_weights": HALF}
    if loss == "own":
        options = {"loss": total, "loss_weights": None}
    made = trainer(engine=engine, **options)
    history = made.fit((inputs(), targets()), **OPTIONS)
    model, losses = by_hand()
    close(made.model, model)
    np.testing.assert_allclose(history.steps["loss"], losses, rtol=1e-5)


def test_tuples_are_in_order_and_dictionaries_by_name(engine: str) -> None:
    losses = in_order(LOSSES, "label", "size")
    ordered = trainer(
        model=Ordered(network()), loss=losses, loss_weights=[1.0, 0.5], engine=engine
    )
    x, y = in_order(inputs(), "meta", "user"), in_order(targets(), "label", "size")
    named = trainer(engine=engine)
    one = ordered.fit((x, y), validation=(x, y), **OPTIONS)
    turned = dict(reversed(inputs().items()))
    two = named.fit((turned, targets()), validation=(inputs(), targets()), **OPTIONS)
    close(ordered.model, named.model)
    made, wanted = ordered.predict(x), named.predict(inputs())
    assert isinstance(made, tuple)
    np.testing.assert_allclose(made[0], wanted["label"], rtol=1e-5)
    np.testing.assert_allclose(made[1], named.predict(turned)["size"], rtol=1e-5)
    assert one.epochs[-1]["validation_0_loss"] == pytest.approx(
        two.epochs[-1]["validation_label_loss"], rel=1e-6
    )


def test_what_is_measured() -> None:
    made = trainer()
    data = inputs(), targets()
    history = made.fit(data, validation=data, **OPTIONS)
    measured = made.evaluate(data, batch_size=7)
    assert list(measured) == [
        *("loss", "label_loss", "size_loss"),
        *("label_accuracy", "size_r2", "size_mae"),
    ]
    outputs, y = made.predict(data[0]), targets()
    wanted = {
        "label_loss": LOSSES["label"](outputs["label"], y["label"]).item(),
        "size_loss": ((outputs["size"] - y["size"]) ** 2).mean(),
        "label_accuracy": (outputs["label"].argmax(1) == y["label"]).mean(),
        "size_mae": abs(outputs["size"] - y["size"]).mean(),
    }
    wanted["loss"] = wanted["label_loss"] + 0.5 * wanted["size_loss"]
    row = history.epochs[-1]
    for name, value in wanted.items():
        assert measured[name] == pytest.approx(value, rel=1e-5), name
        assert row[f"validation_{name}"] == pytest.approx(value, rel=1e-5), name
    parts = row["train_label_loss"] + 0.5 * row["train_size_loss"]
    assert row["train_loss"] == pytest.approx(parts)


def test_metrics_of_outputs_and_of_all() -> None:
    def both(outputs: Any, truth: Any) -> cr.Tensor:
        right = outputs["label"].argmax(1) == truth["label"]
        near = (outputs["size"] - truth["size"]).abs()[:, 0] < 1.0
        return right & near

    data = inputs(), targets()
    of = {"label": ["f1", "top2"], "size": {"far": lambda o, t: (o - t).abs()}}
    made = trainer(metrics=of)
    assert [*made.evaluate(data)][3:] == ["label_f1", "label_top2", "size_far"]
    made = trainer(metrics=[both])
    outputs, y = made.predict(data[0]), targets()
    right = outputs["label"].argmax(1) == y["label"]
    near = abs(outputs["size"] - y["size"])[:, 0] < 1
    assert made.evaluate(data, batch_size=7)["both"] == (right & near).mean()
    made = trainer(loss=total, loss_weights=None, metrics={"both": both})
    assert [*made.evaluate(data)] == ["loss", "both"]


def test_weights_of_rows() -> None:
    """A row of weight 2 is two rows."""
    w = np.arange(ROWS) % 3
    many = np.repeat(np.arange(ROWS), w)
    data = cr.data.Dataset(inputs(), targets())
    made = trainer(), trainer()
    options = {**OPTIONS, "batch_size": None}
    made[0].fit(data, sample_weight=w, **options)
    made[1].fit(data.rows(many), **options)
    close(made[0].model, made[1].model)
    one, two = (
        made[0].evaluate(data, sample_weight=w),
        made[1].evaluate(data.rows(many)),
    )
    for name in ("loss", "label_loss", "size_loss"):
        assert one[name] == pytest.approx(two[name], rel=1e-4)


# -- where data come from ----------------------------------------------------------


def test_streams_loaders_and_data_sets() -> None:
    x, y = inputs(), targets()
    batched = cr.data.Stream(
        lambda: (
            tuple({k: a[i : i + 7] for k, a in part.items()} for part in (x, y))
            for i in range(0, ROWS, 7)
        ),
        batched=True,
    )
    sources = [
        cr.data.Stream(pairs),
        batched,
        Samples(),
        loading.DataLoader(Samples(), batch_size=8),
    ]
    made: list[cr.Trainer] = []
    wanted = trainer().evaluate((x, y))
    for source in sources:
        t = trainer()
        found = t.evaluate(source)
        assert found == {k: pytest.approx(v, rel=1e-5) for k, v in wanted.items()}
        t.fit(source, validation=source, **OPTIONS)
        np.testing.assert_array_equal(
            t.predict(cr.data.Stream(pairs))["size"], t.predict(x)["size"]
        )
        made.append(t)
    for t in made[1:]:
        assert same(t.model, made[0].model)
    again = trainer()
    again.fit(cr.data.Dataset(x, y), **OPTIONS)
    assert again.optimizer.steps == made[0].optimizer.steps


def test_tuples_of_a_loader() -> None:
    """Samples ((a, b), (c, d)), whose batches are lists."""
    x, y = in_order(inputs(), "meta", "user"), in_order(targets(), "label", "size")
    samples = [tuple(tuple(a[i] for a in part) for part in (x, y)) for i in range(ROWS)]
    t = trainer(
        model=Ordered(network()),
        loss=in_order(LOSSES, "label", "size"),
        loss_weights=None,
    )
    t.fit(loading.DataLoader(samples, batch_size=8), epochs=1, progress=False)
    assert t.optimizer.steps == 4


def test_parts_of_a_data_set() -> None:
    data = cr.data.Dataset(inputs(), targets())
    x, y = data[3]
    assert x["user"] == inputs()["user"][3]
    assert y["label"] == targets()["label"][3]
    train, rest = data.split(20)
    assert (len(data), len(train), len(rest)) == (ROWS, 20, 10)
    assert [len(b["size"]) for __, b in data.batches(12)] == [12, 12, 6]
    assert "x.user" in repr(data)
    assert "y.label" in repr(data)
    assert sum(len(v) for __, v in data.folds(3)) == ROWS
    scaled = cr.data.Column(np.full((4, 2), 51, np.uint8), scale=1 / 255)
    pair = cr.data.Dataset((scaled, [1, 2, 3, 4]), [0, 1, 0, 1])
    assert pair[0][0][0].tolist() == pytest.approx([0.2, 0.2])


def test_scaled_inputs() -> None:
    """Each has its own scale, in training and afterwards."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (ROWS, 3)).astype(np.uint8)
    x, y = inputs(), targets()
    made = trainer(), trainer()
    one = {"user": x["user"], "meta": cr.data.Column(grey, scale=1 / 255)}
    two = {"user": x["user"], "meta": one["meta"][...]}
    made[0].fit((one, y), **OPTIONS)
    made[1].fit((two, y), **OPTIONS)
    close(made[0].model, made[1].model)
    assert made[0].scales == {"x.meta": 1 / 255}
    np.testing.assert_allclose(
        made[0].predict(one)["size"], made[0].predict(two)["size"], rtol=1e-6
    )
    with pytest.warns(errors.ChainruleWarning, match="scaled, and these are not"):
        made[0].predict({"user": x["user"], "meta": grey})


# -- interrupted, saved ------------------------------------------------------------


@pytest.mark.usefixtures("single_steps")
def test_cut_and_resumed(tmp_path: Path) -> None:
    data = inputs(), targets()

    def made() -> cr.Trainer:
        return trainer(model=network(0.3), optimizer=optim.Adam(lr=0.05))

    options = {**OPTIONS, "epochs": 3, "validation": data}
    whole = made()
    history = whole.fit(data, **options)
    cut = made()
    with pytest.raises(KeyboardInterrupt):
        cut.fit(data, callbacks=CtrlC(6), checkpoint=tmp_path, **options)
    loaded = cr.Trainer.load(tmp_path, model=network(0.3))
    assert loaded.loss.keys() == LOSSES.keys()
    assert loaded.objective.parts[1].weight == 0.5
    for t in (cut, loaded, copy.deepcopy(loaded)):
        resumed = t.resume(data, validation=data, progress=False)
        assert same(t.model, whole.model)
        assert without_time(resumed.epochs) == without_time(history.epochs)
        assert t.evaluate(data) == whole.evaluate(data)
    other = inputs() | {"user": inputs()["user"] * 0}
    with raising(errors.ArgumentError, "resumes exactly"):
        cut.resume((other, targets()), epochs=5)


@pytest.mark.parametrize("streams", [False, True])
def test_resumed_with_a_dictionary_in_another_order(streams: bool) -> None:
    x, y = inputs(), targets()
    turned = dict(reversed(x.items())), dict(reversed(y.items()))
    whole, cut = trainer(), trainer()
    sources: list[Any] = [(x, y), turned]
    if streams:
        sources[0] = cr.data.Stream(pairs)
        sources[1] = cr.data.Stream(
            lambda: (tuple(dict(reversed(p.items())) for p in pair) for pair in pairs())
        )
    whole.fit(sources[0], **OPTIONS | {"epochs": 4})
    cut.fit(sources[0], **OPTIONS)
    cut.resume(sources[1], epochs=4, progress=False)
    assert same(cut.model, whole.model)
    swapped = {**x, "user": x["user"][::-1].copy()}
    if not streams:
        with raising(errors.ArgumentError, "resumes exactly"):
            cut.resume((swapped, y), epochs=5)


def test_metrics_and_losses_of_a_checkpoint(tmp_path: Path) -> None:
    losses = nn.CrossEntropyLoss(), nn.MSELoss()
    of = (["f1"], ["mae"])
    made = trainer(model=Ordered(network()), loss=losses, loss_weights=None, metrics=of)
    made.save(tmp_path / "two")
    loaded = cr.Trainer.load(tmp_path / "two", model=Ordered(network()))
    assert isinstance(loaded.loss, tuple)
    x, y = in_order(inputs(), "meta", "user"), in_order(targets(), "label", "size")
    assert loaded.evaluate((x, y)) == made.evaluate((x, y))
    assert [m.name for m in loaded.metrics or ()] == ["0_f1", "1_mae"]
    owned = trainer(loss={**LOSSES, "size": lambda o, t: ((o - t) ** 2).mean()})
    owned.save(tmp_path / "own")
    with pytest.raises(errors.CheckpointError, match="loss is none"):
        cr.Trainer.load(tmp_path / "own", model=network())


def test_weights_of_losses_stay_with_a_checkpoint(tmp_path: Path) -> None:
    def own(output: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        return ((output - target) ** 2).mean()

    def weights(**options: Any) -> list[float]:
        loaded = cr.Trainer.load(tmp_path / "own", model=network(), **options)
        return [part.weight for part in loaded.objective.parts]

    losses = {**LOSSES, "size": own}
    made = trainer(loss=losses)
    made.save(tmp_path / "own")
    assert [part.weight for part in made.objective.parts] == [1.0, 0.5]
    assert weights(loss=losses) == [1.0, 0.5]
    assert weights(loss=losses, loss_weights={"label": 3.0}) == [3.0, 1.0]
    trainer().save(tmp_path / "own")
    assert weights(loss_weights={"size": 2.0}) == [1.0, 2.0]
    turned = {"size": own, "label": LOSSES["label"]}
    assert weights(loss=turned) == [0.5, 1.0]


def test_losses_by_places_in_any_order(tmp_path: Path) -> None:
    x, y = in_order(inputs(), "meta", "user"), in_order(targets(), "label", "size")
    options: dict[str, Any] = {"model": Ordered(network()), "loss_weights": {1: 0.5}}
    losses = {1: nn.MSELoss(), 0: nn.CrossEntropyLoss()}
    made = trainer(loss=losses, metrics={1: ["mae"]}, **options)
    made.save(tmp_path / "two")
    loaded = cr.Trainer.load(tmp_path / "two", model=Ordered(network()))
    assert loaded.evaluate((x, y)) == made.evaluate((x, y))
    given = cr.Trainer.load(tmp_path / "two", model=Ordered(network()), loss=losses)
    for t in (loaded, given):
        assert [part.weight for part in t.objective.parts] == [1.0, 0.5]
    for keys in ((0, 2), (0, "label"), (None, 1), (True,)):
        with raising(errors.ArgumentError, "names no outputs"):
            trainer(loss=dict.fromkeys(keys, nn.MSELoss()), loss_weights=None)


def test_probes_and_a_callback_that_watches_an_output() -> None:
    stop = cr.training.EarlyStopping("validation_label_loss", patience=1)
    made = trainer(probes=["activation_mean/label", "grad_norm"])
    data = inputs(), targets()
    history = made.fit(data, validation=data, callbacks=stop, **OPTIONS)
    assert {"activation_mean/label", "grad_norm"} <= history.steps.keys()
    assert stop.best == min(row["validation_label_loss"] for row in history.epochs)


# -- mistakes ----------------------------------------------------------------------

X, Y = inputs(), targets()
FEW = {"user": X["user"]}


@pytest.mark.parametrize(
    ("options", "data", "parts"),
    [
        ({}, (FEW, Y), ("missing a required argument: 'meta'", "forward(")),
        ({}, ({**X, "more": X["meta"]}, Y), ("unexpected keyword", "more")),
        ({}, (X["meta"], Y), ("missing a required argument: 'user'", "one input")),
        ({}, ([X["meta"], X["meta"]], Y), ("2 rows of x", "a dictionary or a tuple")),
        ({}, (X, {"label": Y["label"]}), ("no target 'size'", "target.label")),
        ({}, (X, {**Y, "more": Y["size"]}), ("without a loss", "none for more")),
        ({}, (X, Y["size"]), ("no target 'label'",)),
        ({}, ({**X, "user": X["user"][:5]}, Y), ("x.user and x.meta", "5 rows")),
        ({}, ({**X, 3: X["user"]}, Y), ("are texts", "[3]")),
        ({}, ({}, Y), ("are texts",)),
        ({"loss": nn.MSELoss(), "loss_weights": None}, (X, Y), ("one output", "size")),
        ({"loss": {**LOSSES, "old": nn.MSELoss()}}, (X, Y), ("no output 'old'",)),
        ({"metrics": ["accuracy"]}, (X, Y), ("measures one output", "label")),
        ({"metrics": {"old": "f1"}}, (X, Y), ("no loss of the output 'old'",)),
        ({"loss_weights": {"old": 1.0}}, (X, Y), ("factors of several", "old")),
        ({"loss_weights": {"size": -1.0}}, (X, Y), ("loss_weights['size']",)),
        ({"loss": {}}, (X, Y), ("names no outputs",)),
        ({"loss": {"label": 3}}, (X, Y), ("loss['label']",)),
        ({"loss": total}, (X, Y), ("factors of several",)),
        ({}, (X, {**Y, "label": Y["label"] + 1}), ("outside the classes",)),
    ],
)
def test_what_is_refused(options: Any, data: Any, parts: tuple[str, ...]) -> None:
    with raising(errors.ChainruleError, *parts, fix=False):
        trainer(**options).fit(data, **OPTIONS)


def test_what_belongs_to_one_array() -> None:
    for options in (
        {"scale": 0.5},
        {"feature_names": ("a",)},
        {"classes": 3},
        {"target_names": ("a", "b")},
    ):
        with raising(errors.ArgumentError, "belong to one array"):
            cr.data.Dataset(X, Y, **options)
    with raising(errors.DTypeError, "no classes to stratify", "several targets"):
        cr.data.Dataset(X, Y).split(0.5, stratify=True)
    made = trainer()
    with raising(errors.ArgumentError, "network that has one"):
        made.predict(X, "classes")
    with raising(errors.ShapeError, "different lengths", "x.user: 5 rows"):
        made.predict({**X, "user": X["user"][:5]})

    def changing() -> Iterator[Any]:
        yield {"a": [1.0]}, 0
        yield {"b": [1.0]}, 0

    with raising(errors.DataError, "not like the first one", "x.a", "x.b"):
        [*cr.data.Stream(changing).blocks(2)]


@pytest.mark.parametrize("wrong", [None, np.array(["a"] * ROWS)], ids=["None", "text"])
def test_inputs_that_are_no_numbers_are_named(wrong: Any) -> None:
    with raising(errors.DTypeError, "x.meta does not hold real numbers"):
        trainer().predict({**X, "meta": wrong})


class Stated(nn.Module):
    """Gives its state too, as an LSTM does, whose first axis is not the rows."""

    def __init__(self, state: Any) -> None:
        self.inner, self.state = nn.Linear(3, 1), state

    def forward(self, x: cr.Tensor) -> Any:
        y = self.inner(x)
        return y, self.state(y)


@pytest.mark.parametrize(
    ("state", "got"),
    [
        (lambda y: y.unsqueeze(0), "output.1: (1, N, 1)"),
        (lambda y: y.mean(), "output.1: ()"),
        (lambda y: None, "output.1: NoneType"),
        (lambda y: "state", "output.1: str"),
    ],
)
def test_outputs_are_rows(state: Any, got: str) -> None:
    t = trainer(model=Stated(state), loss=lambda o, t: o[0].mean(), loss_weights=None)
    with raising(errors.ArgumentError, "tensors of rows", got):
        t.predict(X["meta"])


def test_any_mapping_is_a_dictionary() -> None:
    x, y = types.MappingProxyType(X), types.MappingProxyType(Y)
    made = trainer(), trainer()
    made[0].fit((x, y), **OPTIONS)
    made[1].fit((X, Y), **OPTIONS)
    assert same(made[0].model, made[1].model)


class Sick(nn.Module):
    def __init__(self) -> None:
        self.inner = nn.Linear(3, 1)

    def forward(self, x: cr.Tensor) -> Any:
        return self.inner(x), self.inner(x).log()


def test_outputs_that_are_no_numbers_are_named_by_row() -> None:
    both = nn.MSELoss(), nn.MSELoss()
    t = trainer(model=Sick(), loss=both, loss_weights=None)
    with pytest.raises(errors.NonFiniteError, match="in row"):
        t.predict(np.ones((4, 3), np.float32) * [[0], [1], [-1], [2]])


# -- what looks at networks and data -----------------------------------------------


def test_a_summary() -> None:
    data = cr.data.Dataset(inputs(), targets())
    for given in (data, {"user": (), "meta": (3,)}, inputs(), cr.data.Stream(pairs)):
        made = cr.summary(network(), given)
        assert made.input == "user (N,) int64, meta (N, 3)"
        assert made.parameters == 20 + 16 + 15 + 5
    with pytest.raises(errors.ArgumentError, match="cannot be called"):
        cr.summary(network(), {"user": ()})


def test_reports_show_one_input() -> None:
    data = cr.data.Dataset(inputs(), targets())
    with raising(errors.ArgumentError, "one input", "x.user"):
        evaluation.permutation_importance(trainer(), data, cr.metrics.MAE())


def test_labels_that_a_function_gets_are_looked_at(engine: str) -> None:
    """What nobody can see before the run is seen in it."""
    wrong = {**targets(), "label": targets()["label"] + 1}
    t = trainer(loss=total, loss_weights=None, engine=engine)
    with pytest.raises(errors.ArgumentError, match="outside the classes"):
        t.fit((inputs(), wrong), **OPTIONS)
    assert same(t.model, network())
