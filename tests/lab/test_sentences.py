"""Texts in the lab: a column of sentences, tokens, typed sentences and attention."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.lab import sentences
from chainrule.lab.errands import examined
from tests.lab.runs import Asked

GOOD, BAD = ("good", "lovely", "great", "fine"), ("bad", "awful", "poor", "sad")
READING: list[Any] = [
    {"class": "Embedding", "embedding_dim": 8},
    {"class": "GRU", "hidden_size": 8},
    "Steps",
    {"class": "Dropout", "p": 0.3},
    "Linear",
]
ATTENDING: list[Any] = [
    {"class": "Embedding", "embedding_dim": 8},
    {"class": "TransformerEncoderLayer", "nhead": 2, "dim_feedforward": 16},
    "Steps",
    "Linear",
]


def said(folder: Path, rows: int = 80) -> str:
    """A table of sentences, in a lab's folder; returns its name."""
    draw, lines = random.Random(0), ["sentence,mood"]
    for i in range(rows):
        word = draw.choice(GOOD if i % 2 else BAD)
        thing = draw.choice(["the film", "this story", "her song", "a play"])
        often = draw.choice(["really", "so", "quite"])
        mood = "praise" if i % 2 else "blame"
        lines.append(f"{thing} was {often} {word} on day {i},{mood}")
    folder.mkdir(exist_ok=True)
    (folder / "data-said.csv").write_text("\n".join(lines) + "\n")
    return "data-said.csv"


def run_of(folder: Path, layers: list[Any], **training: Any) -> dict[str, Any]:
    usual = {"epochs": 3, "batch_size": 16, "engine": "numpy", **training}
    return {
        "data": {
            "source": said(folder),
            "target": "mood",
            "format": "text",
            "text": "sentence",
            "length": 9,
        },
        "model": {"layers": layers},
        "optimizer": {"class": "Adam", "lr": 0.03},
        "training": usual,
    }


@pytest.fixture(scope="module")
def attending(tmp_path_factory: Any) -> Asked:
    """A small Transformer that has learnt a little."""
    folder = tmp_path_factory.mktemp("attending")
    lab = Asked(folder, run_of(folder, ATTENDING))
    lab.ask("train")
    lab.run()
    return lab


def answered(lab: Asked, type: str, **content: Any) -> dict[str, Any]:
    number = lab.ask(type, lang="en", **content)
    lab.run()
    return lab.answer(number)


# -- what is uploaded ------------------------------------------------------------------


def about(folder: Path, **asked: Any) -> dict[str, Any]:
    usual = {"folder": str(folder), "target": None, "text": None}
    return examined({**usual, **asked})[1]


def test_a_table_of_sentences_is_read_as_texts(tmp_path: Path) -> None:
    found = about(tmp_path, source=said(tmp_path))
    assert (found["text"], found["target"]) == ("sentence", "mood")
    assert found["run"]["data"]["format"] == "text"
    assert found["run"]["model"]["layers"][0]["class"] == "Embedding"
    assert found["names"] == ["sentence", "mood"]
    lab = Asked(
        tmp_path, {**found["run"], "training": {"epochs": 1, "engine": "numpy"}}
    )
    assert lab.last("built")["texts"]["units"] == "words"


def test_other_columns_are_not_given_up_for_a_text_unasked(tmp_path: Path) -> None:
    name = said(tmp_path)
    lines = (tmp_path / name).read_text().splitlines()
    draw = random.Random(1)
    wider = [f"{lines[0]},size"] + [f"{x},{draw.random():.3f}" for x in lines[1:]]
    (tmp_path / name).write_text("\n".join(wider) + "\n")
    found = about(tmp_path, source=name, target="mood")
    assert found["text"] is None
    assert found["run"]["data"].get("format") is None
    chosen = about(tmp_path, source=name, target="mood", text="sentence")
    assert chosen["run"]["data"]["text"] == "sentence"


@pytest.mark.parametrize(
    ("cells", "is_text"),
    [
        ([f"a sentence of {i} words" for i in range(9)], True),
        (["one of few kinds"] * 5 + ["one of the others"] * 4, False),
        ([f"name{i}" for i in range(9)], False),
        (["", "", "the only one here"], True),
    ],
)
def test_what_is_a_text(tmp_path: Path, cells: list[str], is_text: bool) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{cell},{i % 2}" for i, cell in enumerate(cells)]
    path.write_text("said,y\n" + "\n".join(rows) + "\n")
    assert sentences.column(path, "y") == ("said" if is_text else None)


# -- what is seen ----------------------------------------------------------------------


def test_a_sample_shows_its_text(attending: Asked) -> None:
    told = answered(attending, "sample", row=4, part="train")
    data = attending.worker.session.parts.train
    (shown,) = cr.data.text.shown(data, 4).values()
    assert " ".join(told["tokens"]) == shown
    assert "was" in told["tokens"]


def test_of_a_token_by_differences(tmp_path: Path) -> None:
    """‖∂ℒ/∂e‖ in float64, in evaluation mode, where dropout draws nothing."""
    lab = Asked(tmp_path, run_of(tmp_path, READING))
    lab.ask("step", steps=8)
    answered(lab, "sample", row=3, part="train")
    told = answered(lab, "saliency")
    session = lab.worker.session
    one = session.parts.train.rows([3])
    model = copy.deepcopy(session.trainer.model).to("float64").eval()
    rest = nn.Sequential(*list(model)[1:])
    e = model[0](cr.tensor(one.x.stored)).numpy()

    def loss(at: np.ndarray) -> float:
        with cr.no_grad():
            given = rest(cr.tensor(at))
            return session.trainer.loss(given, cr.tensor(np.asarray(one.y))).item()

    slopes = np.zeros(e.shape)
    for index in np.ndindex(*e.shape):
        step = np.zeros(e.shape)
        step[index] = 1e-5
        slopes[index] = (loss(e + step) - loss(e - step)) / 2e-5
    (item,) = told["items"]
    assert item["kind"] == "tokens"
    assert len(item["tokens"]) == 9
    got = told["arrays"][item["array"]]
    np.testing.assert_allclose(got, np.sqrt((slopes[0] ** 2).sum(-1)), rtol=1e-3)


def test_attention_is_softmax_of_q_and_k(attending: Asked) -> None:
    answered(attending, "sample", row=2, part="train")
    told = answered(attending, "saliency")
    assert told["attention"] == ["1.self_attn"]
    session = attending.worker.session
    model, one = session.trainer.model, session.parts.train.rows([2])
    x = model[0](cr.tensor(one.x.stored)).numpy()[0].astype(np.float64)
    weight = model[1].self_attn.in_proj_weight.numpy()
    bias = model[1].self_attn.in_proj_bias.numpy()
    q, k, __ = np.split(x @ weight.T + bias, 3, axis=1)
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        scores = q[:, part] @ k[:, part].T / 2
        a = np.exp(scores - scores.max(1, keepdims=True))
        a /= a.sum(1, keepdims=True)
        got = told["arrays"]["attention0"][head]
        np.testing.assert_allclose(got, a, rtol=1e-4, atol=1e-6)


def test_a_typed_sentence(attending: Asked) -> None:
    told = answered(attending, "sentence", text="The film was SO lovely, xyzzy")
    assert told["tokens"] == ["the", "film", "was", "so", "lovely", ",", "xyzzy"]
    assert [told["tokens"][i] for i in told["unknown"]] == [",", "xyzzy"]
    session = attending.worker.session
    texts = cr.data.text.texts_of(session.parts.train)
    known = {token: i for i, token in enumerate(texts.vocabulary, 2)}
    row = [known.get(token, 1) for token in told["tokens"]]
    padded = np.array([[0] * (9 - len(row)) + row])
    model = copy.deepcopy(session.trainer.model).eval()
    wanted = model(cr.tensor(padded)).softmax(-1).numpy()[0]
    np.testing.assert_allclose(told["answer"], wanted, rtol=1e-4)
    assert told["decided"] == int(wanted.argmax())
    # As if what it decides for were the truth.
    assert told["loss"] == pytest.approx(-np.log(wanted.max()), rel=1e-4)
    assert told["items"][0]["tokens"][:2] == ["", ""]
    assert told["arrays"]["attention0"].shape == (2, 9, 9)


def test_a_sentence_that_is_too_long_or_empty(attending: Asked) -> None:
    told = answered(attending, "sentence", text="so " * 12)
    assert told["left_out"] == 3
    assert (
        "nothing to read"
        in answered(attending, "sentence", text="  ")["error"]["what"]["en"]
    )


def test_a_quantity_has_no_loss_of_its_own(tmp_path: Path) -> None:
    run = run_of(tmp_path, READING)
    table = tmp_path / run["data"]["source"]
    lines = table.read_text().splitlines()
    pairs = [f"{x.split(',')[0]},{i / 7:.3f}" for i, x in enumerate(lines[1:])]
    table.write_text("\n".join([lines[0], *pairs]) + "\n")
    run["data"]["task"] = "regression"
    lab = Asked(tmp_path, run)
    told = answered(lab, "sentence", text="the film was so lovely")
    assert (told["decided"], told["items"]) == (None, [])
    assert len(told["answer"]) == 1


def test_a_network_of_other_data_reads_no_sentences(tmp_path: Path) -> None:
    told = answered(Asked(tmp_path), "sentence", text="hello")
    assert "does not read texts" in told["error"]["what"]["en"]


def test_texts_of_a_square_length_are_no_pictures(tmp_path: Path) -> None:
    run = run_of(tmp_path, READING)
    run["data"]["length"] = 64
    built = Asked(tmp_path, run).last("built")
    assert (built["image"], built["texts"]["length"]) == (None, 64)


@pytest.mark.parametrize("what", ["toml", "python", "html", "checkpoint"])
def test_a_network_of_texts_is_shared(attending: Asked, what: str) -> None:
    answered(attending, "sample", row=0, part="train")
    told = answered(attending, "share", what=what)
    assert told["type"] == "file", told
