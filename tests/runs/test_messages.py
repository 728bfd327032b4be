"""Everything that is wrong with a file by itself, and what its message says."""

from __future__ import annotations

import pytest

from chainrule.runs import file
from chainrule.runs.problems import Problem, RunFileError

DATA = '[data]\nsource = "moons"\n'
MODEL = '[model]\nlayers = ["Linear"]\n'


def said(text: str) -> str:
    with pytest.raises(RunFileError) as caught:
        file.parse(text, name="a.toml")
    return str(caught.value)


def one(text: str) -> list[str]:
    """The lines of the message of a file with one problem."""
    lines = said(text).splitlines()
    assert lines[0].startswith("a.toml, ")
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "expected",
        "got",
        "fix",
    ]
    return lines


@pytest.mark.parametrize(
    ("text", "what", "expected", "got", "fix"),
    [
        # -- sections
        (
            f"{DATA}{MODEL}[optimiser]\nlr = 1\n",
            "line 5, [optimiser]: there is no such section.",
            "[data], [model], [loss]",
            "[optimiser]",
            "did you mean [optimizer]?",
        ),
        (
            f"{DATA}{MODEL}[zzz]\n",
            "[zzz]: there is no such section.",
            "[output]",
            "[zzz]",
            "leave it away",
        ),
        (
            f"epochs = 3\n{DATA}{MODEL}",
            "line 1, [epochs]: it is in no section.",
            "[training]",
            "epochs = 3",
            "move it below [training]",
        ),
        (
            f"training = 3\n{DATA}{MODEL}",
            "line 1, [training]: it is not a section.",
            "[training], with keys",
            "training = 3",
            "write [training] on a line of its own",
        ),
        (
            f'{DATA}{MODEL}[callbacks]\nclass = "EarlyStopping"\n',
            "[callbacks]: it is not a section.",
            "[[callbacks]], with keys",
            'callbacks = [{class = "EarlyStopping"}]',
            "write [[callbacks]]",
        ),
        # -- keys
        (
            MODEL,
            "[data]: the key 'source' is missing.",
            'source = "data.csv"',
            "nothing",
            'add source = "data.csv" below [data]',
        ),
        (
            f"{DATA}[model]\n",
            "line 3, [model]: the key 'layers' is missing.",
            'layers = ["Linear"]',
            "nothing",
            "add layers = ",
        ),
        (
            f"{DATA}{MODEL}[training]\nepoch = 3\n",
            "line 6, [training] epoch: [training] has no key 'epoch'.",
            "epochs, batch_size",
            "epoch = 3",
            "did you mean 'epochs'?",
        ),
        (
            f"{DATA}{MODEL}[optimizer]\nlearning_rate = 3\n",
            "[optimizer] learning_rate: Adam has no key 'learning_rate'.",
            "class, groups, lr, betas",
            "learning_rate = 3",
            "did you mean 'lr'?",
        ),
        (
            f"{DATA}{MODEL}[training]\nlr = 0.1\n",
            "[training] lr: [training] has no key 'lr'.",
            "epochs",
            "lr = 0.1",
            "move it below [optimizer]",
        ),
        (
            f"{DATA}{MODEL}[optimizer]\nepochs = 3\n",
            "[optimizer] epochs: Adam has no key 'epochs'.",
            "lr",
            "epochs = 3",
            "move it below [training]",
        ),
        (
            f'{DATA}{MODEL}[optimizer]\nname = "SGD"\n',
            "[optimizer] name: Adam has no key 'name'.",
            "class",
            'name = "SGD"',
            "did you mean 'class'?",
        ),
        (
            f"{DATA}{MODEL}[output]\nzzz = 1\n",
            "[output] zzz: [output] has no key 'zzz'.",
            "directory",
            "zzz = 1",
            "leave it away",
        ),
        # -- values
        (
            f'{DATA}{MODEL}[training]\nepochs = "3"\n',
            "line 6, [training] epochs: it does not take this value.",
            "a whole number from 1 to 1,000,000,000",
            '"3"',
            "write it without quotes: epochs = 3",
        ),
        (
            f"{DATA}{MODEL}[training]\nepochs = 0\n",
            "[training] epochs: it does not take this value.",
            "a whole number from 1",
            "0",
            "write epochs = …, with a whole number from 1",
        ),
        (
            f'{DATA}{MODEL}[training]\nengine = "natve"\n',
            "[training] engine: it does not take this value.",
            '"auto" or "native" or "numpy"',
            '"natve"',
            'did you mean "native"?',
        ),
        (
            f'{DATA}{MODEL}[training]\ndrop_last = "true"\n',
            "[training] drop_last",
            "true or false",
            '"true"',
            "write it without quotes: drop_last = true",
        ),
        (
            f'{DATA}{MODEL}[training]\nbatch_size = "some"\n',
            "[training] batch_size",
            'a whole number ≥ 1, or "all"',
            '"some"',
            "write batch_size = …",
        ),
        (
            f'{DATA}{MODEL}[training]\nmetrics = "accuracy"\n',
            "[training] metrics",
            "a list of names of metrics",
            '"accuracy"',
            "write metrics = …, with a list",
        ),
        (
            f'{DATA}{MODEL}[training]\nmetrics = ["acuracy"]\n',
            "line 6, [training] metrics: No metric is called 'acuracy'.",
            "accuracy, balanced_accuracy",
            "'acuracy'",
            "did you mean 'accuracy'?",
        ),
        (
            f"{DATA}{MODEL}[optimizer]\nlr = nan\n",
            "[optimizer] lr: it does not take this value.",
            "a finite number",
            "nan",
            "write lr = …",
        ),
        # -- classes
        (
            f'{DATA}{MODEL}[optimizer]\nclass = "adamw"\n',
            "line 6, [optimizer] class: there is no optimiser 'adamw'.",
            "SGD, RMSprop, Adagrad, Adadelta, Adam, AdamW, Adamax, NAdam",
            '"adamw"',
            'did you mean "AdamW"?',
        ),
        (
            f'{DATA}{MODEL}[loss]\nclass = "???"\n',
            "[loss] class: there is no loss '???'.",
            "BCELoss",
            '"???"',
            "choose another loss",
        ),
        (
            f"{DATA}{MODEL}[loss]\nlabel_smoothing = 0.1\n",
            "line 5, [loss]: the key 'class' is missing.",
            "class = ",
            "nothing",
            "below [loss]",
        ),
        (
            f'{DATA}{MODEL}[schedule]\nclass = "StepLR"\n',
            "[schedule]: StepLR needs the key 'step_size'.",
            "step_size = a whole number",
            "nothing",
            "add step_size = … to it",
        ),
        (
            f'{DATA}{MODEL}[schedule]\nclass = "LinearWarmup"\n',
            "[schedule] class: there is no schedule 'LinearWarmup'.",
            "CosineAnnealingLR",
            '"LinearWarmup"',
            "a warm-up is a key of [schedule]: warmup = 100",
        ),
        (
            f'{DATA}{MODEL}[schedule]\nclass = "StepLR"\nstep_size = 3\ngamma = -1\n',
            "line 5, [schedule]: gamma must be",
            "gamma",
            "-1",
            "chainrule new --reference",
        ),
        (
            f'{DATA}{MODEL}[[callbacks]]\nclass = "EarlyStop"\n',
            "line 6, [[callbacks]] number 1, class: there is no callback 'EarlyStop'.",
            "BestCheckpoint, CSVLogger, EarlyStopping, JSONLinesLogger",
            '"EarlyStop"',
            'did you mean "EarlyStopping"?',
        ),
        (
            f"{DATA}{MODEL}[[callbacks]]\npatience = 3\n",
            "line 5, [[callbacks]] number 1: the key 'class' is missing.",
            'class = "EarlyStopping"',
            "nothing",
            'add class = "EarlyStopping"',
        ),
        (
            f'{DATA}{MODEL}[[callbacks]]\nclass = "EarlyStopping"\nmode = "up"\n',
            "[[callbacks]] number 1: mode has no such choice.",
            "mode='min' or mode='max'",
            "'up'",
            "",
        ),
        (
            f"{DATA}{MODEL}[optimizer]\n"
            "groups = { '*.bias' = { weight_dekay = 0 } }",
            "[optimizer] groups.*.bias.weight_dekay: Adam has no option 'weight_dekay'",
            "lr, betas, eps, weight_decay",
            "weight_dekay = 0",
            "did you mean 'weight_decay'?",
        ),
        (
            f"{DATA}{MODEL}[optimizer]\ngroups = {{ '*.bias' = {{ lr = 'x' }} }}",
            "[optimizer] groups.*.bias.lr: it does not take this value.",
            "a finite number",
            '"x"',
            "write lr = …",
        ),
        (
            f'{DATA}validation = 0\n{MODEL}[[callbacks]]\nclass = "EarlyStopping"\n',
            "line 6, [[callbacks]] number 1, monitor: EarlyStopping cannot watch "
            "'validation_loss' without a validation part.",
            "a part of the data",
            "validation = 0",
            'monitor = "train_loss"',
        ),
        (
            f'[data]\nsource = "xor"\n{MODEL}[schedule]\n'
            'class = "ReduceLROnPlateau"\nmonitor = "validation_accuracy"\n',
            "line 7, [schedule] monitor: ReduceLROnPlateau cannot watch "
            "'validation_accuracy'",
            "a part of the data",
            "validation = 0",
            "validation = 0.1 in [data]",
        ),
        # -- layers
        (
            f'{DATA}[model]\nlayers = [\n  "Linear",\n  "Relu",\n]',
            "line 6, [model] layers[1]: there is no layer 'Relu'.",
            "Linear",
            '"Relu"',
            'did you mean "ReLU"?',
        ),
        (
            f'{DATA}[model]\nlayers = ["Linear(784, 10)"]',
            "[model] layers[0]: there is no layer 'Linear(784, 10)'.",
            "Linear",
            '"Linear(784, 10)"',
            'write its options as keys: { class = "Linear", … }',
        ),
        (
            f'{DATA}[model]\nlayers = ["Linear", "CrossEntropyLoss"]',
            "[model] layers[1]: there is no layer 'CrossEntropyLoss'.",
            "Linear",
            '"CrossEntropyLoss"',
            'a loss has a section of its own: [loss] with class = "CrossEntropyLoss"',
        ),
        (
            f"{DATA}[model]\nlayers = [{{ out_features = 3 }}]",
            "[model] layers[0]: it is not said what layer this is.",
            '"ReLU", or { class = "Linear"',
            "{out_features = 3}",
            'add class = "…"',
        ),
        (
            f"{DATA}[model]\nlayers = [3]",
            "line 4, [model] layers: it does not take this value.",
            "a list of layers; 3 is none of its items",
            "[3]",
            "write layers = …",
        ),
        (
            f'{DATA}[model]\nlayers = [{{ class = "Linear", units = 3 }}]',
            "[model] layers[0].units: Linear has no key 'units'.",
            "class, in_features, out_features, bias, init",
            "units = 3",
            "did you mean 'out_features'?",
        ),
        (
            f'{DATA}[model]\nlayers = [{{ class = "ReLU", inplace = true }}]',
            "[model] layers[0].inplace: ReLU has no key 'inplace'.",
            "class",
            "inplace = true",
            "leave it away",
        ),
        (
            f'{DATA}[model]\nlayers = ["Linear", "ReLU", "Linear"]',
            "[model] layers[0]: Linear needs the key 'out_features'.",
            "only the last layer's follows from the data",
            '{class = "Linear"}',
            "out_features = 64",
        ),
        (
            f'{DATA}[model]\nlayers = [{{ class = "Embedding" , embedding_dim = 2}}]',
            "[model] layers[0]: Embedding needs the key 'num_embeddings'.",
            "num_embeddings = a whole number ≥ 1",
            "nothing",
            "add num_embeddings = … to it",
        ),
        (
            f'{DATA}[model]\nlayers = [\n{{ class = "Dropout", p = 1.5 }}, "Linear"]',
            "line 5, [model] layers[0]: Dropout needs a finite p.",
            "0 ≤ p < 1",
            "1.5",
            "look up Dropout: chainrule new --reference",
        ),
        (
            f'{DATA}[model]\nlayers = [{{ class = "Linear", init = "xavier" }}]',
            "[model] layers[0]: No initialisation is called 'xavier'.",
            "xavier_uniform",
            "'xavier'",
            "did you mean 'xavier_",
        ),
        # -- data
        (
            f'[data]\nsource = "a.xyz"\n{MODEL}',
            "line 2, [data] source: its name does not tell how to read it.",
            "a name that ends in .csv, .npz or .idx, a folder, or the key format",
            '"a.xyz"',
            'add format = "csv"',
        ),
        (
            f'[data]\nsource = ["a", "b"]\nformat = "csv"\ntarget = "y"\n{MODEL}',
            "[data] source: two files are images and labels in idx.",
            "one path for csv",
            '["a", "b"]',
            "give one path",
        ),
        (
            f'[data]\nsource = "a.csv"\n{MODEL}',
            "line 1, [data]: the key 'target' is missing.",
            'target = "…", the column',
            "nothing",
            'add target = "…" below [data]',
        ),
        (
            f'{DATA}target = "y"\n{MODEL}',
            "line 3, [data] target: this key is not for data of 'moons'.",
            "source, samples, noise, limit",
            'target = "y"',
            "leave it away; it is for a CSV file",
        ),
        (
            f"{DATA}spread = 0.5\n{MODEL}",
            "[data] spread: this key is not for data of 'moons'.",
            "noise",
            "spread = 0.5",
            "leave it away; it is for data by name",
        ),
        (
            f'[data]\nsource = "pets"\nmissing = "drop"\n{MODEL}',
            "[data] missing: this key is not for data of images.",
            "size, mode",
            'missing = "drop"',
            "leave it away; it is for a CSV file",
        ),
        (
            f'[data]\nsource = "a.csv"\ntarget = "y"\nclasses = 3\n{MODEL}',
            "[data] classes: it does not take this value here.",
            "a list of their names",
            "3",
            'classes = ["no", "yes"]',
        ),
        (
            f'[data]\nsource = "blobs"\nclasses = ["a", "b"]\n{MODEL}',
            "[data] classes: it does not take this value here.",
            "how many classes",
            '["a", "b"]',
            "classes = 3",
        ),
        (
            f"{DATA}validation = 0.6\ntest = 0.4\n{MODEL}",
            "line 3, [data] validation: nothing is left to learn from.",
            "less than 1 together",
            "0.6 + 0.4",
            "leave 80 % for training",
        ),
        (
            f'{DATA}test = "more.csv"\n{MODEL}',
            "[data] test: data that are named have no files of their own.",
            "a share such as 0.1",
            '"more.csv"',
            "test = 0.1",
        ),
        (
            f'[data]\nsource = "a.npz"\ntest = ["b", "c"]\n{MODEL}',
            "[data] test: it is not like the source.",
            "a share such as 0.1, or one path",
            '["b", "c"]',
            "test = 0.1",
        ),
        (
            f'[data]\nsource = "mnist"\ntest = 0.1\n{MODEL}',
            "line 3, [data] test: MNIST has a test set of its own.",
            "no key 'test'",
            "test = 0.1",
            "leave it away",
        ),
    ],
    ids=lambda value: value[:40].replace("\n", " ") if isinstance(value, str) else None,
)
def test_one_problem(text: str, what: str, expected: str, got: str, fix: str) -> None:
    first, *answers = one(text)
    assert what in first
    for part, line in zip((expected, got, fix), answers, strict=True):
        assert part in line


def test_many_problems_in_the_order_of_their_lines() -> None:
    text = (
        f'{DATA}[model]\nlayers = ["Relu"]\n[optimizer]\nlr = "x"\n'
        "[training]\nepochs = 0\nbatch = 3\n"
    )
    message = said(text)
    assert message.startswith("a.toml has 4 problems.\n1. line 4, ")
    lines = [line for line in message.splitlines() if line[0].isdigit()]
    assert [line.split(",")[0] for line in lines] == [
        "1. line 4",
        "2. line 6",
        "3. line 8",
        "4. line 9",
    ]


def test_very_many_problems_are_counted() -> None:
    keys = "\n".join(f"key{i} = 1" for i in range(30))
    message = said(f"{DATA}{MODEL}[training]\n{keys}\n")
    assert message.startswith("a.toml has 30 problems.")
    assert "10. line 15" in message
    assert "11. line" not in message
    assert message.endswith("… and 20 more.")


def test_the_error_keeps_its_problems() -> None:
    with pytest.raises(RunFileError) as caught:
        file.parse(f"{DATA}[model]\nlayers = [1]\n", name="a.toml")
    (problem,) = caught.value.problems
    assert caught.value.file == "a.toml"
    assert problem.where == ("model", "layers")
    assert problem.got == "[1]"


def test_a_problem_without_a_place() -> None:
    assert str(RunFileError("a.toml", [Problem((), "It is odd.")], {})) == (
        "a.toml: It is odd."
    )


@pytest.mark.parametrize(
    ("layer", "fix"),
    [
        ("Dense", 'did you mean "Linear"?'),
        ("BatchNormalization", 'did you mean "BatchNorm1d"?'),
        ("Standardize", "standardize = true in [model] does this"),
        ("Unstandardize", "standardize = true in [model] does this"),
    ],
)
def test_layers_that_are_called_otherwise(layer: str, fix: str) -> None:
    lines = one(f'{DATA}[model]\nlayers = ["{layer}", "Linear"]\n')
    assert fix in lines[-1]


def test_a_loss_by_its_short_name() -> None:
    assert '"MSELoss"' in one(f'{DATA}{MODEL}[loss]\nclass = "mse"\n')[-1]
