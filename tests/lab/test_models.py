"""Networks of files: ONNX and Python, opened from the command line, and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, ChainruleError, DataError
from chainrule.lab import protocol
from chainrule.lab.models import Target
from chainrule.lab.settings import Own, origin_said
from tests.lab.runs import Asked

TABLE = "a,b,c\n" + "".join(f"{i % 7},{i % 5},{'ny'[i % 2]}\n" for i in range(60))
MODULE = """
import numpy as np
import chainrule as cr
from chainrule import nn, optim

class Net(nn.Module):
    def __init__(self, hidden=3):
        self.first, self.last = nn.Linear(2, hidden), nn.Linear(hidden, 2)

    def forward(self, x):
        return self.last(self.first(x).tanh())
"""
DATA = MODULE + "train, validation = cr.data.moons(60), cr.data.moons(20, seed=1)\n"
TRAINER = (
    DATA
    + """
def make():
    return cr.Trainer(Net(4), loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(lr=0.05))
"""
)


def network(
    folder: Path, *layers: Any, shape: tuple[int, ...] = (2,), n: int | None = None
) -> str:
    """An ONNX file of a network, for batches of any size or of one."""
    pytest.importorskip("onnx", reason="needs onnx: chainrule[onnx]")
    cr.manual_seed(3)
    path = folder / "net.onnx"
    inputs = {"x": cr.tensor(np.zeros((n or 2, *shape), np.float32))}
    dynamic: Any = "N" if n is None else None
    model = nn.Sequential(*layers)
    cr.export_onnx(model, path, inputs["x"], dynamic=dynamic)
    return str(path)


def dense(folder: Path, **options: Any) -> str:
    return network(folder, nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2), **options)


def python(folder: Path, text: str, name: str = "") -> str:
    path = folder / "own_network.py"
    path.write_text(text, "latin-1")  # which is no UTF-8 where it is no ASCII
    return f"{path}:{name}" if name else str(path)


class Opening(Asked):
    """A worker that has opened a file, and then builds with it."""

    def __init__(self, folder: Path, target: str) -> None:
        self.target = target
        super().__init__(folder)

    def begin(self, **first: Any) -> None:
        super().begin(open=self.target)

    def build(self, **sections: Any) -> None:
        own = Own.of_model(self.target).to_dict()
        said = Target.of(self.target)
        assert said is not None
        run = {"model": {"file": said.said}, **sections}
        Asked.begin(self, run=run, own=own)


def table(folder: Path) -> str:
    (folder / "data-t.csv").write_text(TABLE)
    return "data-t.csv"


def test_an_onnx_file_is_shown_and_then_trained_on_uploaded_data(
    tmp_path: Path,
) -> None:
    lab = Opening(tmp_path, dense(tmp_path))
    shown = lab.last("opened")
    assert shown["parameters"] == 2 * 4 + 4 + 4 * 2 + 2
    assert shown["picture"].startswith("<svg")
    assert [m["text"].partition("(")[0] for m in shown["modules"]]
    assert lab.worker.ending  # without data there is nothing to run
    lab.worker.ending = False
    data = {"source": table(tmp_path), "target": "c"}
    lab.build(data=data, training={"epochs": 3, "engine": "numpy"})
    built = lab.last("built")
    assert built["run"]["model"] == {"file": "net.onnx"}
    before = lab.worker.session.trainer.model.named_parameters()  # pyright: ignore
    start = {name: p.numpy().copy() for name, p in before}
    file = cr.load_onnx(lab.target)
    for name, parameter in file.named_parameters():
        np.testing.assert_array_equal(start[name], parameter.numpy())
    lab.ask("train")
    sample = lab.ask("sample", row=1, part="train", lang="en")
    lab.run()
    assert lab.last("status")["stage"] == "finished"
    seen = lab.answer(sample)
    assert seen["loss"] > 0
    names = {step["of"]: step["shape"] for step in seen["steps"] if step.get("of")}
    asked = {
        name: lab.ask("element", name=name, index=[0] * len(shape), lang="en")
        for name, shape in names.items()
    }
    lab.run()
    assert len(names) > 5
    for name, id in asked.items():
        assert lab.answer(id)["type"] == "path", (name, lab.answer(id))
    after = dict(lab.worker.session.trainer.model.named_parameters())  # pyright: ignore
    assert any((start[name] != p.numpy()).any() for name, p in after.items())


def test_pictures_of_pixels_become_those_that_a_file_wants(tmp_path: Path) -> None:
    layers = nn.Conv2d(1, 2, 5), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 24 * 24, 10)
    lab = Opening(tmp_path, network(tmp_path, *layers, shape=(1, 28, 28)))
    lab.worker.ending = False
    lab.build(data={"source": "mnist", "limit": 50}, training={"engine": "numpy"})
    assert lab.last("built")["modules"][0]["text"] == (
        "Unflatten(dim=1, unflattened_size=[1, 28, 28])"
    )


@pytest.mark.parametrize(
    ("last", "outputs", "loss"),
    [
        (nn.Identity(), 2, "CrossEntropyLoss()"),
        (nn.Softmax(), 2, "CrossEntropyLoss(from_logits=False)"),
        (nn.Identity(), 1, "BCEWithLogitsLoss()"),
        (nn.Sigmoid(), 1, "BCELoss()"),
    ],
)
def test_the_loss_is_the_one_that_data_and_outputs_ask(
    tmp_path: Path, last: Any, outputs: int, loss: str
) -> None:
    target = network(tmp_path, nn.Linear(2, outputs), last)
    lab = Opening(tmp_path, target)
    lab.worker.ending = False
    lab.build(data={"source": "moons"}, training={"epochs": 1, "engine": "numpy"})
    assert lab.last("built")["loss"] == loss
    lab.ask("train")
    lab.run()
    assert lab.last("status")["stage"] == "finished"


@pytest.mark.parametrize(
    ("layers", "options", "data", "said"),
    [
        ([nn.Linear(3, 2)], {"shape": (3,)}, "moons", r"samples of shape \(3,\)"),
        ([nn.Linear(2, 2)], {"n": 1}, "moons", "exactly 1 at a time"),
        ([nn.Linear(2, 2)], {}, "blobs", "outside the classes"),
        ([nn.Linear(2, 2)], {}, "mnist", r"samples of shape \(2,\)"),
    ],
)
def test_data_that_do_not_fit_are_said(
    tmp_path: Path, layers: Any, options: Any, data: str, said: str
) -> None:
    lab = Opening(tmp_path, network(tmp_path, *layers, **options))
    with pytest.raises(ArgumentError, match=said) as refused:
        lab.build(data={"source": data}, training={"engine": "numpy"})
    assert "fit the network of net.onnx" in str(refused.value)


def test_a_network_of_a_file_is_shared_as_what_it_is(tmp_path: Path) -> None:
    lab = Opening(tmp_path, dense(tmp_path))
    lab.worker.ending = False
    data = {"source": table(tmp_path), "target": "c"}
    lab.build(data=data, training={"epochs": 2, "engine": "numpy"})
    lab.ask("train")
    lab.run()
    lab.ask("sample", row=0, part="train", lang="en")
    kinds = ("onnx", "checkpoint", "svg", "html", "toml", "python")
    asked = {what: lab.ask("share", what=what, lang="en") for what in kinds}
    lab.run()
    for what, id in asked.items():
        answer = lab.answer(id)
        if what in ("toml", "python"):  # a file's network is no settings
            assert "is that of a file" in answer["error"]["what"]["en"]
        else:
            assert answer["type"] == "file", (what, answer)


# -- Python ----------------------------------------------------------------------------


def test_a_module_with_data_begins_at_once(tmp_path: Path) -> None:
    lab = Opening(tmp_path, python(tmp_path, DATA))
    built = lab.last("built")
    assert built["run"]["data"] == {"source": "own_network.py"}
    assert (built["sizes"]["train"], built["sizes"]["validation"]) == (60, 20)
    assert built["classes"] == 2
    path = lab.ask("sample", row=0, part="validation", lang="en")
    lab.run()
    assert lab.answer(path)["rows"] == 20


def test_a_trainer_goes_on_where_it_stands_and_after_a_loss(tmp_path: Path) -> None:
    lab = Opening(tmp_path, python(tmp_path, TRAINER, "make"))
    said = {"data": {"source": "own_network.py:make"}, "training": {"epochs": 2}}
    lab.build(**said)
    lab.ask("train")
    lab.run()
    steps = lab.worker.session.trainer.optimizer.steps  # pyright: ignore
    weights = dict(lab.worker.session.trainer.model.named_parameters())  # pyright: ignore
    assert steps > 0
    again = Opening(tmp_path, lab.target)
    own = Own.of_model(lab.target).to_dict()
    run = {"model": {"file": "own_network.py:make"}, **said}
    Asked.begin(again, run=run, own=own, restore=True)
    trainer = again.worker.session.trainer  # pyright: ignore
    assert trainer.optimizer.steps == steps
    for name, parameter in trainer.model.named_parameters():
        np.testing.assert_array_equal(parameter.numpy(), weights[name].numpy())


def test_settings_that_a_trainer_has_itself_are_refused(tmp_path: Path) -> None:
    lab = Opening(tmp_path, python(tmp_path, TRAINER, "make"))
    source = {"source": "own_network.py:make"}
    for more in ({"optimizer": {"class": "SGD"}}, {"training": {"seed": 3}}):
        with pytest.raises(ArgumentError, match="says this itself"):
            lab.build(data=source, **more)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("1 / 0\n", "", r"own_network.py:1: ZeroDivisionError"),
        ("def f(:\n", "", "SyntaxError"),
        ("x = 1\n\ndef f(:\n", "", r"own_network.py:3: SyntaxError: invalid syntax"),
        ("if x:\ny\n", "", r"own_network.py:2: IndentationError: expected an"),
        ("x = '\0'\n", "", "SyntaxError: source code"),
        ("x = 'é'\n", "", "SyntaxError: .*utf-8"),
        ("raise SystemExit(3)\n", "", r"own_network.py:1: SystemExit: 3\n.*__main__"),
        ("import sys\nsys.exit()\n", "", r"own_network.py:2: SystemExit\n"),
        ("raise KeyboardInterrupt\n", "", r"own_network.py:1: KeyboardInterrupt\n"),
        ("raise GeneratorExit\n", "", r"own_network.py:1: GeneratorExit\n"),
        ("def f():\n    raise SystemExit('bye')\n", "f", "SystemExit: bye"),
        (
            "raise ExceptionGroup('two', [ValueError('a'), SystemError('b')])\n",
            "",
            "ExceptionGroup: two: ValueError: a; SystemError: b",
        ),
        (
            "raise BaseExceptionGroup('o', [SystemExit(1), KeyError('k')] * 9)\n",
            "",
            r"o: SystemExit: 1; KeyError: 'k'; .*; \+13",
        ),
        (
            "class Odd(Exception):\n    def __str__(self): 1 / 0\nraise Odd\n",
            "",
            "own_network.py:3: Odd: it has no message: ZeroDivisionError",
        ),
        ("raise ValueError('x' * 10**6)\n", "", "x…\n"),
        ("import no_such_module\n", "", "ModuleNotFoundError: No module named"),
        ("def f():\n    return f()\n", "f", "own_network.py:2: RecursionError"),
        (
            MODULE + "class D:\n    def to_data(self): raise SystemExit(4)\n"
            "net, train = Net(), D()\n",
            "net",
            "SystemExit: 4",
        ),
        ("x = 1\n", "", "got:      none"),
        (MODULE + "a, b = Net(), Net()\n", "", "several: a, b"),
        (MODULE, "other", "no network called 'other'"),
        (MODULE + "def f():\n    return 3\n", "f", "f is of int"),
        (MODULE + "def f(x):\n    return 3\n", "f", "TypeError"),
    ],
)
def test_a_file_that_gives_no_network_is_said(
    tmp_path: Path, text: str, name: str, said: str
) -> None:
    with pytest.raises((ArgumentError, DataError), match=said):
        Opening(tmp_path, python(tmp_path, text, name))


@pytest.mark.parametrize(
    ("data", "got"),
    [
        ("({'u': x, 'v': x}, y)", "2 arrays of x"),
        ("((x, x), y)", "2 arrays of x"),
        ("(x, {'a': y, 'b': y, 'c': y})", "3 arrays of y"),
    ],
)
def test_networks_of_several_inputs_are_refused(
    tmp_path: Path, data: str, got: str
) -> None:
    text = f"""
import numpy as np
from chainrule import nn, optim, Trainer

class Net(nn.Module):
    def __init__(self):
        self.first = nn.Linear(2, 2)

    def forward(self, u, v=None):
        return self.first(u if v is None else u * v)

def own_loss(prediction, truth):
    return prediction.sum()

trainer = Trainer(Net(), loss=own_loss, optimizer=optim.SGD(lr=0.1))
x, y = np.ones((20, 2), np.float32), np.arange(20) % 2
train = {data}
"""
    with pytest.raises(ArgumentError, match="one input and one output") as error:
        Opening(tmp_path, python(tmp_path, text))
    assert got in str(error.value)


@pytest.mark.parametrize("kind", ["ValueError", "SystemExit", "ExceptionGroup"])
def test_a_forward_that_fails_while_it_trains_is_said(
    tmp_path: Path, kind: str
) -> None:
    said = "'o', [ValueError('a')]" if kind == "ExceptionGroup" else "'oh'"
    fails = f"        if self.training:\n            raise {kind}({said})\n"
    text = DATA.replace("        return", f"{fails}        return")
    lab = Opening(tmp_path, python(tmp_path, text))
    lab.ask("train")
    lab.run()
    status = lab.last("status")
    assert status["stage"] == "failed"
    assert status["error"]["what"]["en"].startswith(kind)
    asked = lab.ask("sample", row=0, part="train", lang="en")
    lab.run()
    assert lab.answer(asked)["error"]["what"]["en"].startswith(kind)


def test_what_stands_below_main_is_not_run(tmp_path: Path) -> None:
    text = DATA + "if __name__ == '__main__':\n    raise ValueError\n"
    assert Opening(tmp_path, python(tmp_path, text)).last("built")


# -- who may open ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        {"file": "evil.py"},
        {"file": "/etc/passwd"},
        {"file": "own_network.py", "layers": []},
        {"file": None},
        {"file": ["own_network.py"]},
        {"file": {"a": 1}},
    ],
)
@pytest.mark.parametrize("opened", [False, True])
def test_a_page_opens_no_file(tmp_path: Path, model: Any, opened: bool) -> None:
    target = python(tmp_path, "raise AssertionError('it was run')\n")
    own = Own.of_model(target) if opened else None
    with pytest.raises(ArgumentError, match="opened no such network"):
        origin_said({"data": {"source": "moons"}, "model": model}, tmp_path, own)


@pytest.mark.parametrize("type", ["build", "examine", "open"])
def test_a_message_names_no_target(type: str) -> None:
    text = f'{{"v": 1, "type": "{type}", "open": "x.py", "own": {{}}, "run": {{}}}}'
    with pytest.raises(ChainruleError):
        protocol.asked(text)


BY_NUMBER = """
    def forward(self, x):
        return self.last(self.first(x).tanh()) + x[1, :2]

"""


@pytest.mark.parametrize("text", [DATA, TRAINER], ids=["network", "trainer"])
def test_a_network_that_reads_a_sample_by_its_number(tmp_path: Path, text: str) -> None:
    head, forward, rest = text.partition("    def forward(self, x):\n")
    changed = head + BY_NUMBER + rest.partition("\n")[2]
    assert forward
    name = "make" if text is TRAINER else "Net"
    lab = Asked(tmp_path)
    with pytest.raises(
        ArgumentError, match=r"reads a sample by its number(?s:.)*got: +i"
    ):
        lab.begin(open=python(tmp_path, changed, name))
