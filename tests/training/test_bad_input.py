"""Each mistake gets one message that says what was expected, what came, and the fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim, tracking, training

from .conftest import Make, pixels, raising, same, small_network


class Two(nn.Module):
    def __init__(self) -> None:
        self.a = nn.Linear(6, 3)

    def forward(self, x: cr.Tensor) -> Any:
        return self.a(x), x


def network(*layers: nn.Module) -> dict[str, Any]:
    return {"model": nn.Sequential(*layers)}


def unreduced(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
    return scores.amax(1)


PIXELS = pixels()
FLOATS = PIXELS.x[...], PIXELS.y.astype(np.float32)


@pytest.mark.parametrize(
    ("trainer", "fit", "parts"),
    [
        (network(nn.Linear(6, 8), nn.Linear(9, 3)), {}, ("Linear '1'", "(N, 8)")),
        (network(nn.Linear(6, 3), nn.Softmax()), {}, ("oftmax",)),
        (network(nn.ReLU()), {}, ("nothing to differentiate",)),
        ({"model": Two()}, {}, ("one output with one target", "output.0, output.1")),
        ({"loss": unreduced}, {}, ("one number", "(N,)", "loss.mean()")),
        (
            {"loss": nn.CrossEntropyLoss(reduction="none")},
            {},
            ("one number", "(N,)", "reduction='mean'"),
        ),
        ({"loss": nn.MSELoss()}, {"train": FLOATS}, ("MSELoss",)),
        ({}, {"batch_size": 51}, ("from 1 to 50", "batch_size=51")),
        ({}, {"train": "mnist"}, ("data set", "str", "Dataset(x, y)")),
        ({}, {"train": iter(range(3))}, ("takes a data set", "range_iterator")),
        ({}, {"train": (1, 2, 3)}, ("a tuple of 3", "cr.data.Stream(samples)")),
        ({}, {"train": {}}, ("takes a data set", "dict")),
    ],
)
def test_runs_that_do_not_begin(
    make: Make, trainer: dict[str, Any], fit: dict[str, Any], parts: tuple[str, ...]
) -> None:
    made = make(**trainer)
    with raising(errors.ChainruleError, *parts):
        made.fit(**({"train": PIXELS, "epochs": 1} | fit))
    assert not made.history.epochs


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "32"])
def test_counts_of_a_run_that_are_none(make: Make, name: str, value: Any) -> None:
    calls = [lambda: make().fit(PIXELS, **({"epochs": 1} | {name: value}))]
    if name == "batch_size":
        calls.append(lambda: make().evaluate(PIXELS, batch_size=value))
        calls.append(lambda: make().predict(PIXELS, batch_size=value))
    for call in calls:
        with raising(errors.ArgumentError, f"{name} ≥ 1", repr(value), fix=False):
            call()


def test_rows_that_do_not_fit_the_first_layer(make: Make) -> None:
    wrong = cr.data.Dataset(np.zeros((20, 5), np.uint8), np.zeros(20, int))
    trainer = make()
    for call in (
        lambda: trainer.fit(wrong, epochs=1, batch_size=4),
        lambda: trainer.evaluate(wrong),
        lambda: trainer.predict(wrong),
    ):
        with raising(errors.ShapeError, "Linear '0'", "6", "5", "nn.Linear(5, 8)"):
            call()


@pytest.mark.parametrize(("label", "row"), [(3, 7), (-1, 2)])
def test_labels_outside_the_classes(
    make: Make, data: cr.data.Dataset, label: int, row: int
) -> None:
    y = data.y.copy()
    y[row] = label
    wrong = cr.data.Dataset(data.x, y)
    trainer = make()
    before = trainer.model.state_dict()
    for call in (
        lambda: make().evaluate(wrong),
        lambda: trainer.fit(wrong, epochs=1),
        lambda: trainer.fit(data, epochs=1, validation=wrong),
        lambda: trainer.evaluate(wrong),
    ):
        with raising(
            errors.ArgumentError,
            "outside the classes",
            "0 … 2",
            f"{label} in row {row}",
        ):
            call()
    after = trainer.model.state_dict()
    assert all((after[k] == before[k]).all() for k in before)
    assert trainer.optimizer.schedule.total_steps is None, "nothing was begun"


@pytest.mark.parametrize(
    "x",
    [np.zeros(6), np.zeros((5, 6), "U3"), np.zeros((5, 6), "M8[D]"), np.zeros((0, 6))],
    ids=["a row", "text", "dates", "nothing"],
)
def test_arrays_that_are_no_data(make: Make, x: np.ndarray) -> None:
    for call in (
        lambda: make().fit((x, np.zeros(len(x), int)), epochs=1),
        lambda: make().evaluate((x, np.zeros(len(x), int))),
    ):
        with raising(errors.ChainruleError):
            call()


def test_not_a_number_in_the_data(make: Make) -> None:
    x = np.zeros((20, 6), np.float32)
    x[3, 4] = np.nan
    with raising(errors.NonFiniteError, "row 3, column 4", "nan"):
        make().fit((x, np.zeros(20, int)), epochs=1)
    for given in (x, x.tolist(), cr.tensor(x), cr.data.Column(x)):
        with raising(errors.NonFiniteError, "row 3, column 4", "nan"):
            make().predict(given)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"loss": nn.CrossEntropyLoss}, ("loss", "the class CrossEntropyLoss", "()")),
        ({"loss": "cross entropy"}, ("loss", "nn.CrossEntropyLoss()")),
        ({"optimizer": optim.Adam}, ("optimizer", "the class Adam", "parentheses")),
        ({"optimizer": "adam"}, ("optimizer", "'adam'", "optim.Adam(lr=1e-3)")),
        ({"model": nn.Sequential}, ("model", "the class Sequential")),
        ({"engine": "cuda"}, ("no engine 'cuda'", "native")),
        ({"metrics": ["acc"]}, ("No metric is called 'acc'", "accuracy")),
        ({"probes": ["grads/*"]}, ("No probe fits 'grads/*'", "grad_norm")),
        ({"probes": None}, ("probes holds no names", "None", "probes=()")),
        ({"optimizer": optim.Adam(small_network().parameters())}, ("another model",)),
    ],
)
def test_what_a_trainer_is_made_of(
    make: Make, options: dict[str, Any], parts: tuple[str, ...]
) -> None:
    with raising(errors.ChainruleError, *parts):
        make(**options)


@pytest.mark.parametrize("name", ["seed", "threads"])
@pytest.mark.parametrize("value", [-1, True, 0.5])
def test_counts_that_are_none(make: Make, name: str, value: Any) -> None:
    with pytest.raises(errors.ArgumentError, match=f"{name}={value}"):
        make(**{name: value})


@pytest.mark.parametrize(
    ("loss", "y", "parts"),
    [
        (nn.HingeLoss(), np.arange(50) % 2, ("HingeLoss", "-1 and 1", "2*y - 1")),
        (nn.BCEWithLogitsLoss(), np.arange(50) % 3, ("BCEWithLogitsLoss", "2")),
        (nn.KLDivergence(), np.full((50, 3), 0.5, "f4"), ("KLDivergence",)),
    ],
)
def test_targets_that_the_loss_does_not_take(
    make: Make, data: cr.data.Dataset, loss: nn.Loss, y: Any, parts: tuple[str, ...]
) -> None:
    """Refused for the whole data set, before anything is compiled."""
    outputs = 3 if y.ndim > 1 else 1
    layers = [nn.Linear(6, outputs), nn.Softmax() if y.ndim > 1 else nn.Flatten(0)]
    trainer = make(model=nn.Sequential(*layers), loss=loss, optimizer=optim.SGD(lr=0.1))
    for call in (
        lambda: trainer.fit((data.x, y), epochs=1, batch_size=5),
        lambda: trainer.evaluate((data.x, y)),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("chainrule.training.programs.CompiledProgram", None)
            with raising(errors.ArgumentError, *parts):
                call()
    assert trainer.plan is None


# -- what people bring from other libraries -------------------------------------------


def test_a_single_sample(make: Make) -> None:
    with raising(errors.ShapeError, "single one", "(6,)", "predict(x[None])"):
        make().predict(np.zeros(6, np.float32))
    with raising(errors.ArgumentError, "a single number"):
        make().predict(3.0)
    with raising(errors.ArgumentError, "cannot be called", "2 in order", "forward(x"):
        make().predict((PIXELS.x[...], PIXELS.y))
    trainer = make(model=classifier(nn.Flatten()), optimizer=optim.SGD(lr=0.1))
    x = images() / 255
    trainer.fit((x, LABELS), epochs=1, batch_size=5, progress=False)
    with pytest.raises(errors.ShapeError, match="single one"):
        trainer.predict(x[0])
    with pytest.raises(errors.ShapeError, match="Linear '1'"):
        trainer.predict(x[:, :4])


@pytest.mark.parametrize("given", [3, True, b"run"])
def test_places_that_are_none(make: Make, data: cr.data.Dataset, given: Any) -> None:
    for call in (
        lambda: make().fit(data, epochs=1, checkpoint=given),
        lambda: make().save(given),
        lambda: cr.Trainer.load(given),
        lambda: training.BestCheckpoint(given),
        lambda: training.CSVLogger(given),
        lambda: tracking.JSONLines(given),
    ):
        with raising(errors.ArgumentError, "must say where", repr(given), fix=False):
            call()


@pytest.mark.parametrize("every", ["60", None, -1, float("nan"), True])
def test_seconds_between_checkpoints(
    make: Make, data: cr.data.Dataset, tmp_path: Path, every: Any
) -> None:
    with raising(errors.ArgumentError, "checkpoint_every ≥ 0", repr(every), fix=False):
        make().fit(data, epochs=1, checkpoint=tmp_path, checkpoint_every=every)
    assert not any(tmp_path.iterdir())


def test_a_seed_from_numpy(make: Make, tmp_path: Path) -> None:
    make(seed=np.int64(7)).save(tmp_path / "run.ckpt")
    assert cr.Trainer.load(tmp_path / "run.ckpt").seed == 7


def test_batches_of_one_under_batch_normalisation(make: Make) -> None:
    x = images()[:, 0] / 255
    model = classifier(nn.BatchNorm1d(8), features=8)
    trainer = make(model=model, optimizer=optim.SGD(lr=0.1))
    with pytest.warns(errors.ChainruleWarning, match="BatchNorm1d '0'") as warned:
        trainer.fit((x, LABELS), epochs=1, batch_size=1, progress=False)
    assert "nn.LayerNorm" in str(warned[0].message)
    trainer.fit((x, LABELS), epochs=1, batch_size=19, progress=False)  # the last: 1


def test_measurements_for_an_embedding(make: Make) -> None:
    x = np.array([[0.0, 1.0], [2.0, 1.5]], np.float32)
    layers = [nn.Embedding(3, 2), nn.Flatten(), nn.Linear(4, 3)]
    trainer = make(model=nn.Sequential(*layers), optimizer=optim.SGD(lr=0.1))
    for call in (
        lambda: trainer.fit((x, [0, 1]), epochs=1, batch_size=2),
        lambda: trainer.evaluate((x, [0, 1])),
        lambda: trainer.predict(x),
    ):
        with raising(
            errors.ArgumentError, "Embedding", "1.5 among the features", "nn.Linear"
        ):
            call()
    assert trainer.predict(np.floor(x)).shape == (2, 3)


def test_the_scale_of_the_training_data(
    make: Make, data: cr.data.Dataset, tmp_path: Path
) -> None:
    """Bytes for training had a scale; bytes without one are no features."""
    bare = cr.data.Dataset(data.x.stored, data.y)
    stream = cr.data.Stream(lambda: zip(bare.x.stored, bare.y))
    trainer = make()
    with pytest.warns(errors.ChainruleWarning, match="data were scaled, and these"):
        trainer.fit(data, epochs=1, validation=bare, progress=False)
    trainer.save(tmp_path / "run.ckpt")
    for t in (trainer, cr.Trainer.load(tmp_path / "run.ckpt")):
        assert t.scales == {"x": data.x.scale}
        calls: list[Any] = [
            lambda t=t: t.evaluate(bare),
            lambda t=t: t.evaluate(stream),
            lambda t=t: t.predict(bare),
            lambda t=t: t.predict(bare.x.stored),
        ]
        for call in calls:
            with pytest.warns(errors.ChainruleWarning) as warned:
                call()
            text = str(warned[0].message)
            for part in (f"scale={1 / 255}", "uint8 and no scale", "fix:"):
                assert part in text
            assert warned[0].filename == __file__
        t.evaluate(data)  # warnings are errors
        t.predict(data.x[...])


# -- numbers that nothing scales ------------------------------------------------------


def images(rows: int = 20, side: int = 8, dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (rows, side, side)).astype(dtype)


def classifier(*layers: nn.Module, features: int = 64) -> nn.Sequential:
    return nn.Sequential(*layers, nn.Linear(features, 2))


LABELS = np.arange(20) % 2


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
@pytest.mark.parametrize("flat", [False, True])
def test_images_that_nothing_scales(make: Make, dtype: str, flat: bool) -> None:
    x = images(dtype=dtype)
    if flat:
        x = x.reshape(20, 64)
    trainer = make(model=classifier(nn.Flatten()), optimizer=optim.SGD(lr=1e-5))
    with pytest.warns(errors.ChainruleWarning) as warned:
        trainer.fit((x, LABELS), epochs=1, batch_size=5, progress=False)
    assert len(warned) == 1
    assert warned[0].filename == __file__, "the warning shows the caller's line"
    text = str(warned[0].message)
    for part in ("grey values", f"{dtype} from 0", "Linear", "scale=1/255", "fix:"):
        assert part in text


@pytest.mark.parametrize(
    ("x", "first", "scale"),
    [
        (images(), None, 1 / 255),
        (images() / 255, None, None),
        (images() - 128.0, None, None),
        (images() + 0.5, None, None),
        (images(), "standardize", None),
        (images(), "batch norm", None),
        (images(), "layer norm", None),
        (images()[:, :2, :2].reshape(20, 4) / 4, None, None),
    ],
)
def test_numbers_that_are_no_such_images(
    make: Make, x: np.ndarray, first: str | None, scale: float | None
) -> None:
    features = int(np.prod(x.shape[1:]))
    layers: dict[str | None, list[nn.Module]] = {
        None: [],
        "standardize": [nn.Standardize.of(x.reshape(len(x), -1))],
        "batch norm": [nn.BatchNorm1d(features)],
        "layer norm": [nn.LayerNorm(features)],
    }
    model = classifier(nn.Flatten(), *layers[first], features=features)
    data = cr.data.Dataset(x, LABELS, scale=scale)
    trainer = make(model=model, optimizer=optim.SGD(lr=1e-5))
    trainer.fit(data, epochs=1, batch_size=5, progress=False)  # warnings are errors


def test_a_schedule_that_is_over(make: Make, data: cr.data.Dataset) -> None:
    trainer = make()
    trainer.fit(data, epochs=1, batch_size=10, progress=False)
    weights = trainer.model.state_dict()
    with raising(
        errors.ArgumentError,
        "schedule ends before",
        "total_steps ≥ 10",
        "total_steps=5",
    ):
        trainer.fit(data, epochs=1, batch_size=10, progress=False)
    assert (trainer.model.state_dict()["0.weight"] == weights["0.weight"]).all()


def test_resume_on_other_data(make: Make, data: cr.data.Dataset) -> None:
    trainer = make()
    with raising(errors.ArgumentError, "no run to resume", "trainer.fit"):
        trainer.resume(data)
    trainer.fit(data, epochs=1, progress=False)
    y = data.y.copy()
    y[0] = (y[0] + 1) % 3
    for other in (pixels(51), pixels(50, seed=1), cr.data.Dataset(data.x, y)):
        with raising(errors.ArgumentError, "exactly only on the data", "CRC-32"):
            trainer.resume(other)


def test_a_plateau_of_accuracy_that_is_taken_for_one_of_loss(
    make: Make, data: cr.data.Dataset
) -> None:
    schedule = optim.ReduceLROnPlateau(0.1, "validation_accuracy")
    trainer = make(optimizer=optim.SGD(lr=schedule))
    with pytest.warns(errors.ChainruleWarning, match="more of it is better"):
        trainer.fit(data, epochs=1, validation=data, progress=False)
    right = optim.ReduceLROnPlateau(0.1, "validation_accuracy", mode="max")
    make(optimizer=optim.SGD(lr=right)).fit(
        data, epochs=1, validation=data, progress=False
    )


@pytest.mark.parametrize("part", ["model", "loss", "optimizer"])
def test_parts_of_a_trainer_are_not_exchanged(make: Make, part: str) -> None:
    with pytest.raises(AttributeError, match=part):
        setattr(make(), part, None)


@pytest.mark.parametrize("method", ["fit", "resume"])
def test_a_run_within_a_run(make: Make, data: cr.data.Dataset, method: str) -> None:
    """Two loops would move one state on, and one of them would be forgotten."""
    trainer, whole = make(), make()
    options: dict[str, Any] = {"epochs": 1} if method == "fit" else {}

    def again(given: cr.Trainer) -> None:
        with pytest.raises(errors.ArgumentError, match="is going on"):
            getattr(given, method)(data, progress=False, **options)

    calls = training.LambdaCallback(on_chunk=again)
    trainer.fit(data, epochs=2, progress=False, callbacks=calls)
    whole.fit(data, epochs=2, progress=False)
    assert same(trainer.model, whole.model)


@pytest.mark.parametrize(
    "asks",
    [
        lambda x: x.shape[0] == 5,
        lambda x: x.shape[0] != 5,
        lambda x: x.shape == (5, 3),
        lambda x: x.shape[0] in {5},
        lambda x: x.shape[0] < 5,
    ],
    ids=["equal", "other", "shape", "set", "less"],
)
def test_a_network_that_decides_by_the_size_of_the_batch(asks: Any) -> None:
    class Deciding(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(3, 1)

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return 2 * self.layer(x) if asks(x) else self.layer(x)

    trainer = cr.Trainer(Deciding(), loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1))
    with pytest.raises(errors.ShapeError, match="size N is not known"):
        trainer.predict(np.ones((5, 3), "f4"))
