"""The network of a run: the sizes that the data tell, and layers that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.runs import file, session
from chainrule.runs.problems import RunFileError
from chainrule.training import Trainer


def build(layers: str, more: str = "", source: str = "moons") -> Trainer:
    text = f'[data]\nsource = "{source}"\n[model]\nlayers = [{layers}]\n{more}'
    run = file.parse(text, name="a.toml", options={"engine": "numpy", "limit": 40})
    return session.build(run)[1]


def refused(layers: str, *parts: str, more: str = "", source: str = "moons") -> None:
    with pytest.raises(RunFileError) as caught:
        build(layers, more, source)
    for part in ("a.toml, line ", "expected:", "got:", *parts):
        assert part in str(caught.value)


def shapes(trainer: Trainer) -> list[tuple[int, ...]]:
    return [p.shape for p in trainer.model.parameters()]


# -- sizes -----------------------------------------------------------------------------


def test_inputs_come_from_the_data_and_outputs_too() -> None:
    made = build('{ class = "Linear", out_features = 5 }, "Tanh", "Linear"')
    assert shapes(made) == [(5, 2), (5,), (2, 5), (2,)]


def test_one_layer_takes_both() -> None:
    assert shapes(build('"Linear"', source="mnist")) == [(10, 784), (10,)]


def test_sizes_that_are_given_stay() -> None:
    layers = '{ class = "Linear", in_features = 2, out_features = 2 }'
    assert shapes(build(layers)) == [(2, 2), (2,)]


def test_normalisations_take_what_comes() -> None:
    layers = '{ class = "Linear", out_features = 7 }, "BatchNorm1d", "LayerNorm", '
    made = build(f'{layers} "Linear"')
    assert shapes(made)[2:6] == [(7,)] * 4


def test_embeddings_take_whole_numbers(tmp_path) -> None:
    np.savez(tmp_path / "words.npz", x=np.arange(60).reshape(20, 3) % 9, y=[0, 1] * 10)
    text = (
        '[data]\nsource = "words.npz"\n[model]\nlayers = [\n'
        '{ class = "Embedding", num_embeddings = 9, embedding_dim = 4 },'
        '"Flatten", "Linear"]\n[training]\nengine = "numpy"\nepochs = 1\n'
    )
    run = file.parse(text, folder=tmp_path)
    parts, trainer = session.build(run)
    assert shapes(trainer) == [(9, 4), (2, 12), (2,)]
    trainer.fit(parts.train, epochs=1, batch_size=4, progress=False)


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
    made = build('"Linear"', f'[loss]\nclass = "{loss}"')
    assert shapes(made)[0] == (outputs, 2)
    assert type(made.loss).__name__ == loss


def test_binary_cross_entropy_from_probabilities() -> None:
    made = build('"Linear", "Sigmoid"', '[loss]\nclass = "BCELoss"')
    assert shapes(made)[0] == (1, 2)


def test_a_network_that_ends_in_softmax_has_probabilities() -> None:
    made = build('"Linear", "Softmax"')
    assert isinstance(made.loss, nn.CrossEntropyLoss)
    assert not made.loss.from_logits
    assert build('"Linear"').loss.from_logits  # type: ignore[attr-defined]


def test_initial_weights_are_those_of_the_seed() -> None:
    layers = '{ class = "Linear", out_features = 5, init = "orthogonal" }, "Linear"'
    a, b, c = (
        build(layers, f"[training]\nseed = {seed}").model.state_dict()
        for seed in (3, 3, 4)
    )
    assert (a["1.weight"] == b["1.weight"]).all()
    assert (a["1.weight"] != c["1.weight"]).any()
    cr.manual_seed(3)
    own = nn.Sequential(nn.Linear(2, 5, init="orthogonal"), nn.Linear(5, 2))
    assert (a["0.weight"] == own.state_dict()["0.weight"]).all()


# -- standardising ---------------------------------------------------------------------


def test_standardised_features() -> None:
    made = build('"Linear"', "standardize = true")
    assert isinstance(made.model[0], nn.Standardize)  # type: ignore[index]
    x = cr.data.moons().take(40)
    run = file.parse(
        'data.source = "moons"\nmodel.layers = ["Linear"]', options={"limit": 40}
    )
    train = session.build(run)[0].train
    assert len(train) < len(x)
    assert np.allclose(made.model[0].mean.numpy(), train.x[:].mean(0))  # type: ignore[index]


def test_standardised_targets(tmp_path) -> None:
    x = np.arange(40.0).reshape(20, 2)
    np.savez(tmp_path / "a.npz", x=x, y=1000 + 50 * x[:, 0])
    text = (
        '[data]\nsource = "a.npz"\n[model]\nstandardize = true\nlayers = ["Linear"]\n'
    )
    parts, trainer = session.build(file.parse(text, folder=tmp_path))
    first, _, last = trainer.model  # type: ignore[misc]
    assert isinstance(first, nn.Standardize)
    assert isinstance(last, nn.Unstandardize)
    assert np.allclose(last.mean.numpy(), parts.train.y.mean(0))
    assert abs(trainer.predict(parts.train.x).mean() - 1950) < 1500


def test_images_are_not_standardised(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((20, 2, 2)), y=[0, 1] * 10)
    text = (
        '[data]\nsource = "a.npz"\n[model]\nstandardize = true\n'
        'layers = ["Flatten", "Linear"]\n'
    )
    with pytest.raises(RunFileError) as caught:
        session.build(file.parse(text, folder=tmp_path))
    said = str(caught.value)
    assert "line 4, [model] standardize: it is for tables" in said
    assert "shape (16, 2, 2)" in said


# -- what does not fit -----------------------------------------------------------------


def test_layers_that_do_not_fit() -> None:
    refused(
        '\n{ class = "Linear", out_features = 5 },\n'
        '{ class = "Linear", in_features = 4 }',
        "line 6, [model] layers[1]: Linear",
        "a last axis of 4",
        "(2, 5)",
    )


def test_outputs_that_do_not_fit() -> None:
    refused(
        '{ class = "Linear", out_features = 3 }',
        "[model] layers[0]: the network's output does not fit the data.",
        "expected: (2,) for each sample",
        "got:      (3,)",
        "leave out_features of the last layer away",
    )


def test_images_without_flatten(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((20, 4, 3)), y=[0, 1] * 10)
    text = '[data]\nsource = "a.npz"\n[model]\nlayers = ["Linear"]\n'
    with pytest.raises(RunFileError) as caught:
        session.build(file.parse(text, folder=tmp_path))
    assert "got:      (4, 2)" in str(caught.value)
    assert 'begin with "Flatten"' in str(caught.value)


def test_a_network_without_weights() -> None:
    refused('"Tanh", "ReLU"', "the network has no weights to learn", "Tanh, ReLU")


def test_sizes_that_only_the_data_make_too_large() -> None:
    refused(
        '{ class = "Linear", out_features = 400_000 }, "Linear"',
        "[model] layers[0]: Linear would be too large.",
        "268,435,456 weights",
        "313,600,000 in this layer",
        "nothing was allocated",
        source="mnist",
    )


@pytest.mark.parametrize(
    ("loss", "why", "fix"),
    [
        ("MSELoss", "the target names 2 classes", "leave [loss] away"),
        ("HuberLoss", "the target names 2 classes", "CrossEntropyLoss"),
        ("KLDivLoss", "it compares probabilities, not classes", "leave [loss] away"),
    ],
)
def test_losses_of_another_task(loss: str, why: str, fix: str) -> None:
    refused('"Linear"', f"[loss] class: {loss} does not fit the data: {why}.", fix,
            more=f'[loss]\nclass = "{loss}"')  # fmt: skip


def test_a_loss_for_two_classes() -> None:
    refused(
        '"Linear"',
        "HingeLoss does not fit the data: there are 3 classes.",
        more='[loss]\nclass = "HingeLoss"',
        source="spiral",
    )


def test_a_loss_for_classes_and_a_quantity(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", x=np.eye(20), y=np.linspace(0, 1, 20))
    text = (
        '[data]\nsource = "a.npz"\n[model]\nlayers = ["Linear"]\n'
        '[loss]\nclass = "CrossEntropyLoss"\n'
    )
    with pytest.raises(RunFileError) as caught:
        session.build(file.parse(text, folder=tmp_path))
    assert "line 6, [loss] class: CrossEntropyLoss does not fit" in str(caught.value)
    assert "the target is a quantity" in str(caught.value)
    assert 'task = "classification"' in str(caught.value)


def test_patterns_that_fit_nothing() -> None:
    refused(
        '"Linear"',
        "[training] probes: No probe fits 'grad_nrom/*'",
        "did you mean",
        more='[training]\nprobes = ["grad_nrom/*"]',
    )
    refused(
        '"Linear"',
        "[optimizer] groups",
        "*.gamma",
        more='[optimizer]\ngroups = { "*.gamma" = { lr = 0.1 } }',
    )


def test_an_engine_that_cannot_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.errors import EngineError

    def refuse(engine: str) -> str:
        raise EngineError("There is no engine.", expected="a", got="b", fix="c")

    monkeypatch.setattr("chainrule.training.trainer.resolve_engine", refuse)
    with pytest.raises(RunFileError, match=r"a\.toml: There is no engine"):
        build('"Linear"')


def test_a_batch_larger_than_the_data() -> None:
    text = 'data.source = "moons"\nmodel.layers = ["Linear"]\n'
    text += "[training]\nbatch_size = 99\n"
    run = file.parse(text, name="a.toml", options={"limit": 40})
    with pytest.raises(RunFileError) as caught:
        session.begin(run)
    said = str(caught.value)
    assert "line 4, [training] batch_size: a batch cannot be larger" in said
    assert "expected: 1 to 32" in said


def test_small_data_make_one_batch() -> None:
    run = file.parse('data.source = "xor"\nmodel.layers = ["Linear"]\n')
    assert session.batch_size(run, session.build(run)[0].train) == 4
