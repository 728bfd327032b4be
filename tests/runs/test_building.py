"""What a file describes, built: sizes that data tell, scales, objects of all kinds."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, ChainruleWarning, EngineError
from chainrule.runs import RunFileError, file
from chainrule.runs.classes import ClassSection, Family
from chainrule.runs.problems import Problem
from chainrule.training import Trainer
from tests.cli import data as small

DATA = 'data.source = "moons"\nmodel.layers = ["Linear"]\n'
#: Words as numbers, of which an embedding makes vectors.
EMBEDDING = (
    '{ class = "Embedding", num_embeddings = 9, embedding_dim = 4 }, "Flatten", '
)


def built(
    model: str, more: str = "", source: str = "moons", folder: Path = Path()
) -> tuple[Any, Any]:
    """The Trainer of a file with such a network, and what it trains on."""
    text = f'[data]\nsource = "{source}"\n[model]\n{model}\n{more}'
    run = file.parse(text, name="a.toml", folder=folder, options={"engine": "numpy"})
    parts = run.parts()
    trainer = run.trainer(parts)
    assert isinstance(trainer.loss, nn.Module)
    return trainer, parts.for_loss(trainer.loss).train


def made(layers: str, more: str = "", **options: Any) -> Any:
    return built(f"layers = [{layers}]", more, **options)[0]


def shapes(trainer: Trainer) -> list[tuple[int, ...]]:
    return [p.shape for p in trainer.model.parameters()]


def kinds(trainer: Any) -> list[str]:
    return [type(module).__name__ for module in trainer.model]


# -- sizes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ('"Linear"', [(2, 2), (2,)]),
        (
            '{ class = "Linear", out_features = 5 }, "Tanh", "Linear"',
            [(5, 2), (5,), (2, 5), (2,)],
        ),
        ('{ class = "Linear", in_features = 2, out_features = 2 }', [(2, 2), (2,)]),
        (
            '{ class = "Linear", out_features = 7 }, "BatchNorm1d", "LayerNorm", '
            '{ class = "GroupNorm", num_groups = 1 }, "Linear"',
            [(7, 2), *[(7,)] * 7, (2, 7), (2,)],
        ),
        (
            '{ class = "Linear", out_features = 36 }, '
            '{ class = "Unflatten", dim = 1, unflattened_size = [4, 3, 3] }, '
            '{ class = "Conv2d", out_channels = 8, kernel_size = [2, 3], groups = 4 }, '
            '"BatchNorm2d", { class = "MaxPool2d", kernel_size = [2, 1] }, "Flatten", '
            '"Linear"',
            [(36, 2), (36,), (8, 1, 2, 3), *[(8,)] * 3, (2, 8), (2,)],
        ),
        (
            '{ class = "Linear", out_features = 36 }, '
            '{ class = "Unflatten", dim = 1, unflattened_size = [4, 3, 3] }, '
            '{ class = "ConvTranspose2d", out_channels = 2, kernel_size = [2, 3] }, '
            '{ class = "InstanceNorm2d", affine = true }, "Flatten", "Linear"',
            [(36, 2), (36,), (4, 2, 2, 3), *[(2,)] * 3, (2, 40), (2,)],
        ),
        (
            '{ class = "Linear", out_features = 12 }, '
            '{ class = "Unflatten", dim = 1, unflattened_size = [3, 4] }, '
            '{ class = "TransformerEncoderLayer", nhead = 4, dim_feedforward = 5 }, '
            '"Flatten", "Linear"',
            [
                *[(12, 2), (12,), (12, 4), (12,), (4, 4), (4,), (5, 4), (5,)],
                *[(4, 5), *[(4,)] * 5, (2, 12), (2,)],
            ],
        ),
        (
            '{ class = "Linear", out_features = 12 }, '
            '{ class = "Unflatten", dim = 1, unflattened_size = [3, 4] }, '
            '{ class = "LearnedPositions", num_positions = 3, embedding_dim = 4 }, '
            '{ class = "CausalSelfAttention", num_heads = 2, rotary = true }, '
            '"SinusoidalPositions", "Flatten", "Linear"',
            [(12, 2), (12,), (3, 4), (12, 4), (12,), (4, 4), (4,), (2, 12), (2,)],
        ),
    ],
)
def test_sizes_that_the_data_tell(layers: str, expected: list[Any]) -> None:
    assert shapes(made(layers)) == expected


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [
        ("CrossEntropyLoss", 2),
        ("MultiMarginLoss", 2),
        ("BCEWithLogitsLoss", 1),
        ("HingeLoss", 1),
        ("PerceptronLoss", 1),
    ],
)
def test_the_loss_tells_how_many_outputs(loss: str, outputs: int) -> None:
    trainer = made('"Linear"', f'[loss]\nclass = "{loss}"')
    assert shapes(trainer)[0] == (outputs, 2)
    assert type(trainer.loss).__name__ == loss
    given = made('"Linear"', "[loss]\nclass = 'CrossEntropyLoss'\nweight = [1, 2.5]")
    assert given.loss.settings()["weight"] == [1.0, 2.5]


@pytest.mark.parametrize(("key", "size"), [("", 32), ('"all"', 160), ("3", 3)])
def test_batches(key: str, size: int) -> None:
    training = f"[training]\nbatch_size = {key}\n" if key else ""
    run = file.parse(f"{DATA}{training}")
    assert run.fit_options(run.parts().train)["batch_size"] == size
    xor = file.parse(DATA.replace("moons", "xor"))
    assert xor.fit_options(xor.parts().train)["batch_size"] == 4


def test_initial_weights_are_those_of_the_seed() -> None:
    layers = '{ class = "Linear", out_features = 5, init = "orthogonal" }, "Linear"'
    made_so = made(layers, "[training]\nseed = 3").model.state_dict()
    cr.manual_seed(3)
    own = nn.Sequential(nn.Linear(2, 5, init="orthogonal"), nn.Linear(5, 2))
    for name, weight in own.state_dict().items():
        assert (made_so[name] == weight).all()
    # A network that ends in softmax has probabilities.
    assert not made('"Linear", "Softmax"').loss.from_logits
    assert made('"Linear"').loss.from_logits


# -- scales of the data ----------------------------------------------------------------


def prices(folder: Path, scale: float) -> None:
    x = np.random.default_rng(0).normal(7, 3, (50, 2))
    np.savez(folder / "a.npz", x=x, y=scale * (x @ [1.0, -2.0]))


def test_tables_are_standardised(tmp_path: Path) -> None:
    prices(tmp_path, 10)
    here: Any = {"source": "a.npz", "folder": tmp_path}
    trainer, train = built('layers = ["Linear"]', **here)
    assert kinds(trainer) == ["Standardize", "Linear", "Unstandardize"]
    assert np.allclose(trainer.model[0].mean.numpy(), train.x[:].mean(0))
    assert np.allclose(trainer.model[2].mean.numpy(), train.y.mean(0))
    plain = built('standardize = false\nlayers = ["Linear"]', **here)[0]
    assert kinds(plain) == ["Linear"]
    small.flowers(tmp_path / "f.csv")
    text = '[data]\nsource = "f.csv"\ntarget = "kind"\n[model]\nlayers = ["Linear"]\n'
    origin = file.parse(text, folder=tmp_path)
    assert kinds(origin.trainer(origin.parts())) == ["Standardize", "Linear"]
    assert kinds(made('"Linear"', "standardize = true")) == ["Standardize", "Linear"]


@pytest.mark.parametrize("source", ["moons", "b.npz", "shades", "words.npz"])
def test_other_data_are_not_standardised(tmp_path: Path, source: str) -> None:
    small.arrays(tmp_path / "b.npz")
    small.shades(tmp_path / "shades")
    words = np.arange(60).reshape(20, 3) % 9
    np.savez(tmp_path / "words.npz", x=words, y=[0, 1] * 10)
    layers = f'{EMBEDDING if source == "words.npz" else ""}"Flatten", "Linear"'
    model = f"layers = [{layers}]"
    trainer, train = built(model, source=source, folder=tmp_path)
    assert "Standardize" not in kinds(trainer)
    if source == "words.npz":
        assert shapes(trainer) == [(9, 4), (2, 12), (2,)]
        trainer.fit(train, epochs=1, batch_size=4, progress=False)


SGD = 'layers = ["Linear"]\n[optimizer]\nclass = "SGD"\n'


def test_sgd_on_large_targets_is_warned_of(tmp_path: Path) -> None:
    """The rate that the warning names learns; there is none without a reason."""
    prices(tmp_path, 1e6)
    here: Any = {"source": "a.npz", "folder": tmp_path}
    with pytest.warns(ChainruleWarning, match=r"(?s)SGD.*as if lr were.*Adam") as found:
        built(SGD, **here)
    advice = str(found[0].message).split("or lr = ")[1]
    trainer, train = built(f"{SGD}lr = {advice}\n", **here)
    trainer.fit(train, epochs=100, batch_size=10)
    assert trainer.evaluate(train)["r2"] > 0.99
    for rest in ("clip_norm = 1.0\n", '[loss]\nclass = "L1Loss"\n'):
        built(SGD + rest, **here)
    built('layers = ["Linear"]', **here)
    trainer = built('layers = ["Linear", "Sigmoid"]', **here)[0]
    assert kinds(trainer) == ["Standardize", "Linear", "Sigmoid"]


@pytest.mark.parametrize(
    ("layers", "expected", "kinds_of"),
    [
        (
            '{ class = "LSTM", hidden_size = 5 }, "Steps", "Linear"',
            [(20, 3), (20, 5), (20,), (20,), (2, 5), (2,)],
            ["Standardize", "LSTM", "Steps", "Linear"],
        ),
        (
            '{ class = "GRU", hidden_size = 2, bidirectional = true }, "Tanh", '
            '{ class = "GRU", hidden_size = 2 }, { class = "Steps", take = "max" }, '
            '"Linear"',
            [
                *[(6, 3), (6, 2), (6,), (6,)] * 2,
                (6, 4),
                (6, 2),
                (6,),
                (6,),
                (2, 2),
                (2,),
            ],
            ["Standardize", "GRU", "Steps", "Tanh", "GRU", "Steps", "Linear"],
        ),
        (
            '"Transpose", { class = "Conv1d", out_channels = 4, kernel_size = 2 }, '
            '{ class = "Steps", take = "mean", dim = -1 }, "Linear"',
            [(4, 3, 2), (4,), (2, 4), (2,)],
            ["Transpose", "Conv1d", "Steps", "Linear"],
        ),
    ],
)
def test_sequences(
    tmp_path: Path, layers: str, expected: list[Any], kinds_of: list[str]
) -> None:
    """(n, T, features): what reads steps has samples first, and scales are measured."""
    x = np.random.default_rng(0).normal(50, 20, (40, 6, 3)).astype(np.float32)
    np.savez(tmp_path / "s.npz", x=x, y=np.arange(40) % 2)
    trainer = made(layers, source="s.npz", folder=tmp_path)
    assert (shapes(trainer), kinds(trainer)) == (expected, kinds_of)
    for module in trainer.model:
        assert module.__dict__.get("batch_first", True)
        if isinstance(module, nn.Standardize):
            np.testing.assert_allclose(module.mean.numpy(), 50, atol=8)
            np.testing.assert_allclose(module.std.numpy(), 20, atol=5)
    train = made(layers, "[training]\nepochs = 1", source="s.npz", folder=tmp_path)
    train.fit((x, np.arange(40) % 2), epochs=1, progress=False)


def test_a_padding_may_have_any_number() -> None:
    wide = '{ class = "Embedding", num_embeddings = 9, embedding_dim = 4, '
    trainer = made(wide + 'padding_idx = 7 }, "Flatten", "Linear"')
    assert trainer.model[0].padding_idx == 7
    with pytest.raises(RunFileError, match=r"layers\[0\].*\n.*from -9 to 8"):
        made(wide + 'padding_idx = 9 }, "Flatten", "Linear"')


# -- what does not fit the data --------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y", "rest", "said"),
    [
        (
            np.zeros((20, 1, 2, 2)),
            [0, 1] * 10,
            'standardize = true\nlayers = ["Flatten", "Linear"]',
            "line 4, [model] standardize: it is for tables",
        ),
        (
            np.zeros((20, 4, 3)),
            [0, 1] * 10,
            'layers = ["Linear"]',
            'begin with "Flatten"',
        ),
        (
            np.zeros((20, 1, 3, 4)),
            [0, 1] * 10,
            'layers = [{ class = "Conv2d", out_channels = 2, kernel_size = 4 }]',
            "line 4, [model] layers[0]: Conv2d's window is larger",
        ),
        (
            np.zeros((20, 3, 4)),
            [0, 1] * 10,
            'layers = ["LSTM", "Linear"]',
            "line 4, [model] layers[0]: LSTM needs the key 'hidden_size'",
        ),
        (
            np.zeros((20, 3, 4)),
            [0, 1] * 10,
            'layers = [{ class = "LSTM", hidden_size = 2 }, "Linear"]',
            "line 4, [model] layers[1]: the network's output does not fit the data.\n"
            "  expected: (2,) for each sample\n  got:      (3, 2)\n  fix:      put "
            '"Steps" before the last layer',
        ),
        (
            np.zeros((20, 4)),
            [0, 1] * 10,
            'layers = [{ class = "GRU", hidden_size = 2 }, "Steps", "Linear"]',
            "line 4, [model] layers[0]: GRU reads sequences.\n  expected: steps and "
            "features",
        ),
        (
            np.eye(20),
            np.linspace(0, 1, 20),
            'layers = ["Linear"]\n[loss]\nclass = "CrossEntropyLoss"',
            "line 6, [loss] class: CrossEntropyLoss does not fit the data: the target "
            "is a quantity",
        ),
    ],
)
def test_what_does_not_fit(
    tmp_path: Path, x: Any, y: Any, rest: str, said: str
) -> None:
    np.savez(tmp_path / "a.npz", x=x, y=y)
    with pytest.raises(RunFileError) as caught:
        built(rest, source="a.npz", folder=tmp_path)
    assert said in str(caught.value)


def test_an_engine_that_cannot_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(engine: str) -> str:
        raise EngineError("There is no engine.", expected="a", got="b", fix="c")

    monkeypatch.setattr("chainrule.training.trainer.resolve_engine", refuse)
    with pytest.raises(RunFileError, match=r"a\.toml: There is no engine"):
        made('"Linear"')


# -- objects of all kinds --------------------------------------------------------------


class Trusting:
    """Takes its options on trust."""

    def __init__(self, error: Exception) -> None:
        raise error


@pytest.mark.parametrize(
    "error",
    [TypeError(), OverflowError(), KeyError(), AttributeError(), ArgumentError("No.")],
    ids=repr,
)
def test_whatever_a_constructor_raises_is_a_problem(error: Exception) -> None:
    section = Family("thing", ClassSection, {"Trusting": Trusting}).read(
        {"class": "Trusting"}
    )
    with pytest.raises(Problem) as caught:
        section.build(error=error)
    problem = caught.value
    assert None not in (problem.what, problem.expected, problem.got, problem.fix)


def test_what_is_tried_draws_no_numbers_and_warns_of_nothing() -> None:
    cr.manual_seed(0)
    expected = cr.uniform(3).tolist()
    cr.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = file.parse(f"{DATA}[optimizer]\nlr = 0\n")
    assert cr.uniform(3).tolist() == expected
    with pytest.warns(ChainruleWarning, match="learning rate of 0"):
        run.settings.optimizer.scheduled(run.settings.schedule)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", optim.Adam()),
        ("lr = 0.5\n", optim.Adam(lr=0.5)),
        (
            'class = "SGD"\nnesterov = true\nmomentum = 0.9\n',
            optim.SGD(nesterov=True, momentum=0.9),
        ),
        (
            "betas = [0.8, 0.9]\nclip_norm = 2\n",
            optim.Adam(betas=(0.8, 0.9), clip_norm=2),
        ),
        (
            'class = "AdamW"\ngroups = { "*.bias" = { weight_decay = 0 } }\n',
            optim.AdamW([{"params": "*.bias", "weight_decay": 0.0}, {"params": "*"}]),
        ),
    ],
)
def test_optimisers(keys: str, expected: Any) -> None:
    settings = file.parse(f"{DATA}[optimizer]\n{keys}").settings
    made = settings.optimizer.scheduled(settings.schedule)
    assert made.settings() == expected.settings()


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", optim.Schedule(0.1)),
        ('class = "StepLR"\nstep_size = 3\ngamma = 0.5\n', optim.StepLR(0.1, 3, 0.5)),
        ('class = "OneCycleLR"\ndiv_factor = 5\n', optim.OneCycleLR(0.1, div_factor=5)),
        (
            'class = "CosineAnnealingLR"\nwarmup = 5\n',
            optim.LinearWarmup(optim.CosineAnnealingLR(0.1), 5),
        ),
        (
            'class = "MultiStepLR"\nmilestones = [2, 4]\n',
            optim.MultiStepLR(0.1, [2, 4]),
        ),
    ],
    ids=str,
)
def test_schedules(keys: str, expected: Any) -> None:
    settings = file.parse(f"{DATA}[optimizer]\nlr = 0.1\n[schedule]\n{keys}").settings
    made = settings.optimizer.scheduled(settings.schedule).schedule
    assert made.settings() == expected.settings()


def test_callbacks_write_into_the_directory_of_the_run(tmp_path: Path) -> None:
    run = file.parse(
        f'{DATA}[[callbacks]]\nclass = "CSVLogger"\n'
        '[[callbacks]]\nclass = "BestCheckpoint"\npath = "gut/beste.ckpt"\n'
    )
    log, best = run.callbacks(tmp_path)
    assert log.path == tmp_path / "log.csv"
    assert best.path == tmp_path / "gut" / "beste.ckpt"
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "gut").symlink_to(tmp_path)
    with pytest.raises(RunFileError, match=r"number 2, path.*leads outside"):
        run.callbacks(tmp_path / "r")
