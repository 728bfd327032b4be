"""Fixes as diffs of a run file: applied as printed, they give what was measured."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import nn
from chainrule.doctor import Case, Change, changes, initialising, rebuilding, space
from chainrule.runs import toml_edits
from chainrule.runs.diagnosing import diagnosed
from chainrule.runs.file import RunFile, load, parse
from chainrule.runs.fixing import InFile

TEXT = """# half circles
[data]
source = "moons"  # two of them
samples = 160

[model]
standardize = true
layers = [
  # the first one
  { class = "Linear", out_features = 4 },  # narrow
  "ReLU",
  { class = "Dropout", p = 0.5 },  # half
  { class = "Linear", in_features = 4, out_features = 4, init = "zeros" },
  "Sigmoid",
  "Linear",
]

[loss]
class = "CrossEntropyLoss"
label_smoothing = 0.1

[optimizer]
class = "SGD"
lr = 0.5  # fast
momentum = 0.9
weight_decay = 0.05
l1_penalty = 0.01

[schedule]
class = "CosineAnnealingLR"
eta_min = 0.05

[training]
epochs = 4
batch_size = 64
engine = "numpy"
"""
LAYERS = TEXT[TEXT.index("layers = [") : TEXT.index("[loss]")]
#: The same layers in one line, and as sections of their own.
ONE_LINE = TEXT.replace(
    LAYERS,
    'layers = [{ class = "Linear", out_features = 4 }, "ReLU", { class = "Dropout", '
    'p = 0.5 }, { class = "Linear", in_features = 4, out_features = 4, '
    'init = "zeros" }, "Sigmoid", "Linear"]\n\n',
)
SECTIONS = TEXT.replace(
    LAYERS,
    '[[model.layers]]\nclass = "Linear"\nout_features = 4\n\n[[model.layers]]\n'
    'class = "ReLU"\n\n[[model.layers]]\nclass = "Dropout"\np = 0.5\n\n'
    '[[model.layers]]\nclass = "Linear"\nin_features = 4\nout_features = 4\n'
    'init = "zeros"\n\n[[model.layers]]\nclass = "Sigmoid"\n\n[[model.layers]]\n'
    'class = "Linear"\n\n',
)


def in_file(text: str, folder: Path | None = None, **options: Any) -> InFile:
    run = parse(text, folder=folder or Path(), options=options)
    loaded = run.parts()
    trainer = run.trainer(loaded)
    parts = loaded.for_loss(trainer.loss)
    plan = run.fit_options(parts.train)
    case = Case(trainer, parts.train, validation=parts.validation, **plan)
    return InFile(run, loaded, case)


def applied(text: str, diff: str) -> str:
    """Apply the hunks of a unified diff where they say, line for line."""
    old, new, at, open_end = text.split("\n"), list[str](), 0, True
    lines = diff.split("\n")
    i = next(k for k, line in enumerate(lines) if line.startswith("+++")) + 1
    assert lines[i].startswith("@@")
    while i < len(lines) and (match := re.match(r"@@ -(\d+),?(\d*) \+", lines[i])):
        start = int(match[1]) - (match[2] != "0")
        new += old[at:start]
        at, i = start, i + 1
        while i < len(lines) and lines[i][:1] in (" ", "-", "+", "\\"):
            kind, line = lines[i][:1], lines[i][1:]
            if kind in " -":
                assert old[at] == line, (old[at], line)
                at += 1
            if kind in " +":
                new.append(line)
                open_end = lines[i + 1 : i + 2] == ["\\ No newline at end of file"]
            i += 1
    assert all(line.startswith("#") for line in lines[i:])
    if at == len(old) and old[-1] and not open_end:
        new.append("")
    return "\n".join([*new, *old[at:]])


def patched(text: str, diff: str, folder: Path, indent: str = "") -> str:
    """Apply a diff with the standard tool, where there is one, and by hand."""
    made = applied(text, diff)
    if tool := shutil.which("patch"):
        path = folder / "run.toml"
        path.write_bytes(text.encode())
        told = subprocess.run(
            [tool, "--fuzz=0", "--binary", str(path)],
            input="".join(f"{indent}{line}\n" for line in diff.split("\n")).encode(),
            capture_output=True,
            check=False,
        )
        assert told.returncode == 0, told
        assert path.read_bytes().decode() == made
    return made


def losses(trainer: Any, data: Any, **plan: Any) -> Any:
    trainer.fit(data, progress=False, **plan)
    return np.asarray(trainer.history.steps["loss"])


def trained(run: RunFile, setup: Any, parts: Any) -> tuple[Any, Any]:
    """The losses of a file's run, and of the setup that a fix was measured with."""
    trainer = run.trainer(parts)
    data = parts.for_loss(trainer.loss).train
    file = losses(trainer, data, **run.fit_options(data))
    plan = {"epochs": setup.epochs, "batch_size": setup.batch_size}
    return file, losses(setup.trainer(), setup.train, **plan)


def modules(model: Any) -> list[str]:
    done = (nn.Sequential, nn.Identity, nn.Standardize, nn.Unstandardize)
    return [
        re.sub(r"(, )?init='\w+'", "", repr(m))
        for m in model.modules()
        if not isinstance(m, done)
    ]


Make = Callable[[Any], Change | None]
#: Changes that keep the initial weights: the file trains as it was measured, bit for
#: bit.
SAME: dict[str, Make] = {
    "rate": lambda s: changes.rate_times(s, 0.1),
    "optimiser": lambda s: space.adam(s, 0.01),
    "decay": lambda s: changes.option(s, "weight_decay", 0.0, "x"),
    "l1": lambda s: changes.option(s, "l1_penalty", None, "x"),
    "clipping": changes.clipped,
    "batch": lambda s: changes.plan(s, "x", batch_size=16),
    "epochs": lambda s: changes.plan(s, "x", epochs=7),
    "loss": lambda s: changes.loss(s, nn.CrossEntropyLoss, "x"),
    "no-dropout": lambda s: changes.layer(s, ["3"], nn.Identity, "x"),
    "leaky": lambda s: changes.layer(s, ["2", "5"], nn.LeakyReLU, "x"),
    "softmax-at-the-end": lambda s: changes.layer(s, ["5"], nn.Softmax, "x"),
}
#: Those that draw others, or other random numbers: dropout's are by the layer's place.
OTHER: dict[str, Make] = {
    "between": lambda s: changes.between(s, ["1"]),
    "weights": lambda s: initialising.variance(s, relu=True),
    "fresh": lambda s: initialising.fresh_weights(s, ["4"], "zeros"),
    "activation": lambda s: changes.activation(s, ["5"], nn.ReLU, "x"),
    "tanh": lambda s: changes.activation(s, ["2", "5"], nn.Tanh, "x"),
    "wider": rebuilding.wider,
}


@pytest.mark.parametrize("text", [TEXT, ONE_LINE, SECTIONS], ids=["a", "b", "c"])
@pytest.mark.parametrize("kind", [*SAME, *OTHER])
def test_each_kind_of_change(kind: str, text: str, tmp_path: Path) -> None:
    say = in_file(text)
    change = (SAME | OTHER)[kind](say.case.setup)
    assert change is not None
    diff = say([change])
    replaces = any("class" in t for ts in (change.layers or {}).values() for t in ts)
    if text == SECTIONS and replaces and kind != "between":
        assert "built network" in diff
        return
    assert "#   " not in diff
    run = parse(patched(text, diff, tmp_path))
    setup = say.case.setup.copy()
    change.apply(setup)
    assert modules(run.trainer(say.parts).model) == modules(setup.model)
    file, measured = trained(run, setup, say.parts)
    assert len(file) == len(measured)
    if kind in SAME:
        np.testing.assert_array_equal(file, measured)
    for comment in ("# half circles", "# fast"):
        assert (comment in run.text) or kind == "optimiser"


def test_several_at_once(tmp_path: Path) -> None:
    say = in_file(TEXT)
    setup = say.case.setup
    made = [make(setup) for make in (OTHER["wider"], OTHER["activation"])]
    made += [SAME[k](setup) for k in ("no-dropout", "optimiser", "epochs")]
    known = changes.compatible(c for c in made if c is not None)
    assert len(known) == 5
    document = tomllib.loads(patched(TEXT, say([changes.together(known)]), tmp_path))
    assert document["model"]["layers"] == [
        {"class": "Linear", "out_features": 32, "init": "kaiming_normal"},
        "ReLU",
        {
            "class": "Linear",
            "in_features": 32,
            "out_features": 32,
            "init": "kaiming_normal",
        },
        "ReLU",
        {"class": "Linear", "init": "kaiming_normal"},
    ]
    assert document["optimizer"] == {"class": "Adam", "lr": 0.01}
    assert not document.get("schedule")
    assert document["training"]["epochs"] == 7


def test_a_rate_keeps_its_comment_and_brings_its_least_one() -> None:
    say = in_file(TEXT)
    change = changes.rate_times(say.case.setup, 0.1)
    assert change is not None
    assert "+lr = 0.05  # fast" in say([change])
    assert "+eta_min = 0.005" in say([change])
    assert change.after == "lr=0.05, eta_min=0.005"


def test_fewer_layers(tmp_path: Path) -> None:
    hidden = '{ class = "Linear", out_features = 6 }, "Tanh", '
    text = TEXT.replace(LAYERS, f'layers = [{hidden * 7}"Linear"]\n\n')
    say = in_file(text)
    change = rebuilding.shallower(say.case.setup)
    assert change is not None
    run = parse(patched(text, say([change]), tmp_path))
    setup = say.case.setup.copy()
    change.apply(setup)
    assert modules(run.trainer(say.parts).model) == modules(setup.model)
    assert run.text.count("Linear") == 3


def test_dropout_within_a_layer(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 5, 4)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=x, y=(x.mean((1, 2)) > 0).astype(np.int64))
    text = (
        '[data]\nsource = "rows.npz"\n[model]\nstandardize = false\nlayers = [{ class '
        '= "TransformerEncoderLayer", nhead = 2, dim_feedforward = 8, dropout = 0.7 }, '
        '"Steps", "Linear"]\n[training]\nengine = "numpy"\nepochs = 1\n'
    )
    say = in_file(text, tmp_path)
    setup = say.case.setup
    drops = [n for n, m in setup.model.named_modules() if isinstance(m, nn.Dropout)]
    change = changes.layer(setup, drops, nn.Identity, "x")
    weights = initialising.variance(setup, relu=True)
    assert change is not None
    diff = say([change, weights])
    layers = tomllib.loads(patched(text, diff, tmp_path))["model"]["layers"]
    assert layers[0]["dropout"] == 0.0
    assert layers[2] == {"class": "Linear", "init": "kaiming_normal"}
    # Of the weights within the layer the file has no word.
    assert '["0.linear1"]): nn.init.kaiming_normal_(layer.weight)' in diff


@pytest.mark.parametrize(
    "text",
    [
        'data.source = "moons"\nmodel.layers = ["Linear"]',
        'data.source = "moons"\nmodel.layers = ["Linear"]\n[training]\nepochs = 3',
        'data.source = "moons"\nmodel.layers = ["Linear"]\noptimizer.momentum = 0.5\n'
        'optimizer.class = "SGD"',
        'data.source = "moons"\nmodel.layers = ["Linear"]\noptimizer = {lr = 1.0}',
        'data.source = "moons"\nmodel.layers = ["Linear"]\noptimizer = {}\n',
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("  {", "\t{").replace("= 0.5  #", "=   0.5 #"),
    ],
)
def test_forms_of_files(text: str, tmp_path: Path) -> None:
    say = in_file(text)
    change = changes.rate_times(say.case.setup, 0.5)
    other = changes.plan(say.case.setup, "x", epochs=60)
    assert change is not None
    made = patched(text, say([change, other]), tmp_path)
    document, before = tomllib.loads(made), tomllib.loads(text)
    rate = before.get("optimizer", {}).get("lr", say.case.setup.optimizer.schedule.lr)
    assert document["optimizer"]["lr"] == rate * 0.5
    assert document["training"]["epochs"] == 60
    assert made.count("\r\n") in (0, made.count("\n"))


def test_settings_of_the_command_line_are_replaced() -> None:
    say = in_file(TEXT, lr=10.0, epochs=3, seed=5)
    change = changes.rate_times(say.case.setup, 0.1)
    assert change is not None
    assert "+lr = 1.0  # fast" in say([change])


def houses(folder: Path, layers: str, more: str = "") -> str:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3)) * (1, 100, 5) + 50
    y = 1e4 + 1e3 * x[:, 0]
    rows = [",".join(map(str, [*a, b])) for a, b in zip(x.round(2), y.round(1))]
    (folder / "houses.csv").write_text("\n".join(["a,b,c,price", *rows]))
    return (
        '[data]\nsource = "houses.csv"\ntarget = "price"\n\n[model]\nstandardize = '
        "false\n"
        f'layers = [{layers}]\n{more}\n[training]\nengine = "numpy"\nepochs = 3\n'
    )


def test_scaling_of_inputs_and_targets(tmp_path: Path) -> None:
    text = houses(tmp_path, '{ class = "Linear", out_features = 8 }, "ReLU", "Linear"')
    say = in_file(text, tmp_path)
    inputs = changes.standardised(say.case.setup)
    targets = changes.standardised_targets(say.case.setup)
    both = say([inputs, targets])
    assert "standardize = true" in patched(text, both, tmp_path)
    assert "#" not in both
    # Alone, the file scales the other side as well: that is said.
    alone = say([inputs])
    assert "+standardize = true" in alone
    assert "nn.Standardize; those of the changed file: nn.Standardize, nn.Unst" in alone


def test_scaled_targets_with_steps_that_grow_with_them(tmp_path: Path) -> None:
    text = houses(tmp_path, '"Linear"', '[optimizer]\nclass = "SGD"\nlr = 1e-12\n')
    say = in_file(text, tmp_path)
    diff = say([changes.standardised_targets(say.case.setup)])
    assert "@@" not in diff
    assert "TransformedTargetLoss(nn.MSELoss(), model[-1])" in diff


def test_several_targets_have_the_loss_that_was_measured(tmp_path: Path) -> None:
    text = houses(tmp_path, '"Linear"', '[optimizer]\nclass = "SGD"\n')
    text = text.replace('"price"', '["price", "c"]')
    say = in_file(text, tmp_path)
    setup = say.case.setup
    diff = say([changes.standardised(setup), changes.standardised_targets(setup)])
    assert "#" not in diff
    (tmp_path / "new.toml").write_text(patched(text, diff, tmp_path))
    run = load(tmp_path / "new.toml")
    copy = setup.copy()
    for make in (changes.standardised, changes.standardised_targets):
        make(setup).apply(copy)
    file, measured = trained(run, copy, say.parts)
    np.testing.assert_allclose(file, measured, rtol=1e-3)


def test_inputs_that_are_scaled_already_are_said_in_words() -> None:
    say = in_file(TEXT)
    rate = changes.rate_times(say.case.setup, 0.1)
    assert rate is not None
    diff = say([changes.standardised(say.case.setup), rate])
    assert "+lr = 0.05  # fast" in diff
    assert "#   + nn.Sequential(nn.Standardize.of(train.x), model)" in diff


def test_an_output_activation_that_is_left_out(tmp_path: Path) -> None:
    text = houses(tmp_path, '{ class = "Linear", out_features = 8 }, "Tanh", '
                  '"Linear", "ReLU"').replace("false", "true")  # fmt: skip
    say = in_file(text, tmp_path)
    change = changes.layer(say.case.setup, ["4"], nn.Identity, "x")
    assert change is not None
    diff = say([change])
    assert '"Tanh", "Linear"]' in patched(text, diff, tmp_path)
    # What ends in Linear is scaled back, which was not measured.
    assert "those of the changed file: nn.Standardize, nn.Unstandardize" in diff


def test_what_a_file_cannot_say_stands_beside_the_others() -> None:
    say = in_file(TEXT)
    rate = changes.rate_times(say.case.setup, 0.1)
    assert rate is not None
    lost = Change("x", "train", "train.rows(few)", lambda setup: None)
    diff = say([lost, rate])
    assert "+lr = 0.05  # fast" in diff
    assert diff.endswith("#   - train\n#   + train.rows(few)")
    assert "@@" not in say([lost])


def test_what_the_doctor_prints_can_be_applied(tmp_path: Path) -> None:
    text = TEXT.replace("lr = 0.5", "lr = 0.001").replace("0.05\nl1", "0.0\nl1")
    (tmp_path / "run.toml").write_text(text)
    diagnosis = diagnosed(str(tmp_path / "run.toml"))
    assert diagnosis.case is not None
    diagnosis.fix(steps=2000)
    assert diagnosis.fixes
    printed = str(diagnosis)
    assert any(f.change is not None for f in diagnosis.findings)
    shown = [f.diff for f in (*diagnosis.findings, *diagnosis.fixes) if f.diff]
    for diff in shown:
        if "@@" not in diff:
            continue
        lines = diff.split("\n")
        indent = next(
            line[: -len(lines[2])]
            for line in printed.split("\n")
            if line.endswith(lines[2])
        )
        assert "\n".join(f"{indent}{line}" for line in lines) in printed
        (tmp_path / "new.toml").write_text(patched(text, diff, tmp_path, indent))
        made = load(tmp_path / "new.toml")
        parts = made.parts()
        losses(made.trainer(parts), parts.train, **made.fit_options(parts.train))


def test_a_strange_file_is_edited_or_left() -> None:
    text = "a = '''x\ny'''\n[\"b c\"]\nd.e = [ [1, 2], # x ]\n  {f = \"}\"}, ]\n"
    known = toml_edits.spans(text)
    assert text[known["b c", "d", "e", 0, 1].start] == "2"
    assert toml_edits.shown({"f": "}"}) == '{ f = "}" }'
    made = toml_edits.with_value(text, ("b c", "d", "e", 1, "f"), "]")
    assert tomllib.loads(made)["b c"]["d"]["e"][1] == {"f": "]"}
    made = toml_edits.without(text, ("b c", "d", "e", 0))
    assert tomllib.loads(made)["b c"]["d"]["e"] == [{"f": "}"}]
