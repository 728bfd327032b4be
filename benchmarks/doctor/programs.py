"""A program of the measuring set: data, a network and a Trainer, from a flat table."""

from dataclasses import dataclass
from typing import Any

import losses_of_keras
import numpy as np
import preparing
import spoiling
from networks import Spec, network
from rows import Rows, rows

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.training import EarlyStopping
from chainrule.utils.data import DataLoader, TensorDataset

F = nn.functional
#: The share of the rows that a network is judged by.
HELD_OUT = 0.3
#: Networks that may read words.
WORDS = ("words", "attention", "letters")
#: Losses by which two classes are told apart by one output; of targets in one-hot form.
ONE_OUTPUT = (
    *("bce", "bce-logits", "own-bce-logits", "mse-of-binary"),
    *("hinge-of-01", "swapped", "hard-error", "hand-bce", "hand-bce-logits"),
    *("written-bce", *losses_of_keras.BINARY),
)
HALF = (  # is where these part them
    *("bce", "mse-of-binary", "swapped", "hand-bce"),
    *losses_of_keras.BINARY,
)
ONE_HOT = (
    *("mse-of-classes", "bce-of-classes", "mae-of-classes"),
    *losses_of_keras.CLASSES,
)


# -- data ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parts:
    """Training and validation rows as a program sees them, and the true targets."""

    train: Dataset
    validation: Dataset
    truth: Any
    task: str
    outputs: int
    words: int


def parts(spec: Spec) -> Parts:
    """Return the data of a program: split, scaled, and spoilt where it says so."""
    read = rows(spec["rows"])
    rng = np.random.default_rng(0)
    order = preparing.order(spec, read, rng.permutation(len(read.x)))
    cut = int(len(order) * (1 - HELD_OUT))
    words = int(read.x.max()) + 1 if spec["net"] in WORDS and read.x.ndim == 2 else 0
    x, y = np.asarray(read.x, np.float64)[order], np.asarray(read.y)[order]
    x = preparing.coded(spec, x)
    if spec["prepared"] != "as usual":
        x = preparing.prepared(spec, x, cut)
    elif spec["standardise"] and read.scale != "nothing":
        axis = None if read.scale == "whole" else 0
        deviation = x[:cut].std(axis)
        x = (x - x[:cut].mean(axis)) / np.where(deviation > 0, deviation, 1.0)
    x = (x * spec["times"] + spec["plus"]).astype(np.int32 if words else np.float32)
    truth = y[cut:]
    y = _spoilt(spec, read, y.copy(), cut, rng)
    x, kept = _worn(spec, x, np.asarray(read.y)[order], cut)
    classes = read.classes if y.dtype.kind in "iu" else None
    known = spoiling.overlapped(spec, x[kept], y[kept], np.asarray(read.y)[order][kept])
    train = Dataset(*known, classes=classes)
    held = Dataset(x[cut:], y[cut:], classes=classes)
    one = read.task == "quantities" or spec["loss"] in ONE_OUTPUT
    outputs = 1 if one else read.classes + spec["spare"]
    return Parts(train, held, truth, read.task, outputs, words)


def _worn(spec: Spec, x: Any, y: Any, cut: int) -> tuple[Any, Any]:
    """Return inputs that are spoilt in other ways, and which rows are trained on."""
    rng = np.random.default_rng(1)
    if spec["noise"]:
        x[:cut] += rng.normal(0, spec["noise"], x[:cut].shape).astype(x.dtype)
    if spec["blank"]:
        count = x.shape[-1]
        x[..., rng.permutation(count)[: round(spec["blank"] * count)]] = 0
    if spec["column"] != 1.0:
        x[..., 0] *= spec["column"]
    if spec["rounded"]:
        x = np.floor(x / spec["rounded"]) * np.float32(spec["rounded"])
    if spec["mismatch"] != 1.0:
        x[cut:] *= spec["mismatch"]
    x = spoiling.inputs(spec, x, cut, np.random.default_rng(2))
    kept = np.arange(cut)[: max(8, int(spec["kept"] * cut))]
    if spec["rare"] < 1.0:
        kept = kept[(y[kept] == 0) | (rng.uniform(size=len(kept)) < spec["rare"])]
    if spec["order"] == "sorted":
        kept = kept[np.argsort(y[kept], kind="stable")]
    return x, spoiling.trained(spec, kept, y)


def _spoilt(spec: Spec, read: Rows, y: Any, cut: int, rng: Any) -> Any:
    """Return the targets of a program: of quantities standardised, then spoilt."""
    if read.task == "quantities":
        y = (y - y[:cut].mean()) / y[:cut].std()
        if spec["shuffled"]:
            y[:cut] = rng.permutation(y[:cut])
        if spec["mixed"]:
            y[:cut] = preparing.mixed(spec, y[:cut])
        if spec["shifted"]:
            y[:cut] = np.roll(y[:cut], 1)
        y = spoiling.targets(spec, y, cut, np.random.default_rng(3))
        return (y / spec["divided"] + spec["offset"]).astype(np.float32)[:, None]
    if spec["flipped"]:
        wrong = np.flatnonzero(rng.uniform(size=cut) < spec["flipped"])
        y[wrong] = (y[wrong] + rng.integers(1, read.classes, len(wrong))) % read.classes
    if spec["shuffled"]:
        y[:cut] = rng.permutation(y[:cut])
    if spec["shifted"]:
        y[:cut] = (y[:cut] + 1) % read.classes
    if spec["merged"]:
        y[:cut] = np.where(y[:cut] == 1, 0, y[:cut])
    if spec["cast"]:
        y[:cut] = 0
    if spec["loss"] in ONE_OUTPUT:
        return (y / spec["divided"]).astype(np.float32)[:, None]
    if spec["loss"] in ONE_HOT:
        return np.eye(read.classes, dtype=np.float32)[y]
    return y.astype(np.int32)


# -- network, loss, optimiser ----------------------------------------------------------


def own_cross_entropy(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
    """Return the cross-entropy of scores, as a function of one's own."""
    return F.cross_entropy(scores, labels)


def own_bce(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
    """Return the binary cross-entropy of scores, as a function of one's own."""
    return F.binary_cross_entropy_with_logits(scores, labels)


def written_cross_entropy(outputs: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
    """Return the cross-entropy of scores, which nobody sees by its name."""
    chosen = F.one_hot(labels, outputs.shape[1]).float()
    return (outputs.exp().sum(1).log() - (outputs * chosen).sum(1)).mean()


def written_bce(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Return the binary cross-entropy of scores, which nobody sees by its name."""
    return (F.softplus(outputs) - outputs * targets).mean()


def negative(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Return a loss with the wrong sign: what is right is punished."""
    if targets.dtype.is_float:
        return -(outputs - targets).square().clamp(max=100.0).mean()
    return -F.cross_entropy(outputs, targets).clamp(max=100.0)


def broadcast(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Return the squares of all outputs' distances from all targets, by mistake."""
    return (outputs.reshape(-1, 1) - targets.reshape(1, -1)).square().mean()


def mape(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Return the mean absolute percentage error, as Keras has it."""
    return ((outputs - targets).abs() / targets.abs().clamp(min=1e-7)).mean() * 100


def of_outputs(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Return a loss that the targets hardly take part in."""
    return outputs.square().mean() + 0 * targets.float().mean()


def percentage(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Return the mean error as a share of the targets, of which some are near 0."""
    return ((outputs - targets) / (targets + 1e-6)).abs().mean()


def hinge(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Return the hinge loss, which means -1 and 1, of targets that are 0 and 1."""
    return (1 - outputs * targets).clamp(min=0.0).mean()


def swapped(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Return the binary cross-entropy of the targets, by the probabilities."""
    return F.binary_cross_entropy(targets, outputs)


def hard_error(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Return the share of errors, whose derivative is 0."""
    return ((outputs > 0).float() - targets).abs().mean() + 0 * outputs.mean()


def plain_log(probabilities: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
    """Return the cross-entropy of probabilities, of which none may be 0."""
    return -probabilities.log().gather(1, labels.reshape(-1, 1).long()).mean()


def hand_cross_entropy(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
    """Return the cross-entropy of scores, written out."""
    return -scores.log_softmax(1).gather(1, labels.reshape(-1, 1).long()).mean()


def hand_bce_logits(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
    """Return the binary cross-entropy of scores, written out."""
    return (F.softplus(scores) - scores * labels).mean()


def hand_bce(probabilities: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
    """Return the binary cross-entropy of probabilities, written out."""
    right = labels * (probabilities + 1e-7).log()
    return -(right + (1 - labels) * (1 - probabilities + 1e-7).log()).mean()


def focal(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
    """Return the focal loss (Lin et al. 2017), γ = 2."""
    logs = scores.log_softmax(1).gather(1, labels.reshape(-1, 1).long())
    return -((1 - logs.exp()).square() * logs).mean()


def root(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Return the root of the mean square."""
    return (outputs - targets).square().mean().sqrt()


def log_cosh(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Return a loss like Huber's, without a corner."""
    return (outputs - targets).clamp(-30.0, 30.0).cosh().log().mean()


LOSSES: dict[str, Any] = {
    "cross-entropy": nn.CrossEntropyLoss,
    "own-cross-entropy": lambda: own_cross_entropy,
    "cross-entropy-of-probabilities": lambda: nn.CrossEntropyLoss(from_logits=False),
    "bce": nn.BCELoss,
    "bce-logits": nn.BCEWithLogitsLoss,
    "own-bce-logits": lambda: own_bce,
    "written-cross-entropy": lambda: written_cross_entropy,
    "written-bce": lambda: written_bce,
    "mse": nn.MSELoss,
    "mse-of-classes": nn.MSELoss,
    "mse-of-binary": nn.MSELoss,
    "bce-of-classes": nn.BCEWithLogitsLoss,
    "margin": nn.MultiMarginLoss,
    "nll": nn.NLLLoss,
    "sum": lambda: nn.CrossEntropyLoss(reduction="sum"),
    "sum-of-squares": lambda: nn.MSELoss(reduction="sum"),
    "without-first": lambda: nn.CrossEntropyLoss(ignore_index=0),
    "mae": nn.L1Loss,
    "mae-of-classes": nn.L1Loss,
    "mape": lambda: mape,
    "huber": nn.HuberLoss,
    "narrow-huber": lambda: nn.HuberLoss(1e-4),
    "broadcast": lambda: broadcast,
    "of-outputs": lambda: of_outputs,
    "negative": lambda: negative,
    "percentage": lambda: percentage,
    "hinge-of-01": lambda: hinge,
    "swapped": lambda: swapped,
    "hard-error": lambda: hard_error,
    "plain-log": lambda: plain_log,
    "hand-cross-entropy": lambda: hand_cross_entropy,
    "hand-bce-logits": lambda: hand_bce_logits,
    "hand-bce": lambda: hand_bce,
    "focal": lambda: focal,
    "root": lambda: root,
    "log-cosh": lambda: log_cosh,
} | losses_of_keras.LOSSES


def loss(spec: Spec, made: Parts) -> Any:
    """Return the loss of a program."""
    if spec["smoothing"]:
        return nn.CrossEntropyLoss(label_smoothing=spec["smoothing"])
    if spec["lopsided"] != 1.0:
        weight = np.ones(made.outputs, np.float32)
        weight[0] = spec["lopsided"]
        return nn.CrossEntropyLoss(weight=cr.tensor(weight))
    found = LOSSES[spec["loss"]]()
    if spec["loss_times"] == 1.0:
        return found
    factor = spec["loss_times"]
    return lambda outputs, targets: found(outputs, targets) * factor


def rate(spec: Spec, steps: int) -> Any:
    """Return the learning rate of a program, or its schedule."""
    lr, kind = spec["rate"], spec["schedule"]
    if kind == "cosine":
        return optim.CosineAnnealingLR(lr, spec["epochs"])
    if kind == "warmed":
        return optim.LinearWarmup(lr, max(steps // 10, 1))
    if kind == "short":  # it has come to its end after a tenth of the run
        return optim.CosineAnnealingLR(lr, max(spec["epochs"] // 10, 1))
    if kind == "late":  # the warm-up is longer than the run
        return optim.LinearWarmup(lr, 400 * steps, 1e-6)
    gamma = {"plunging": 0.8, "gentle": 0.995, "rising": 1.05}
    if kind in gamma:
        return optim.ExponentialLR(lr, gamma[kind], unit="step")
    factor = {"thirds": 0.3, "tenths": 0.1, "slow-steps": 0.9, "growing": 2.0}
    if kind in factor:
        return optim.StepLR(lr, 1, factor[kind])
    return lr


def optimizer(spec: Spec, steps: int, model: nn.Module) -> Any:
    """Return the optimiser of a program."""
    given: Spec = {"lr": rate(spec, steps), "weight_decay": spec["decay"]}
    given |= {"clip_norm": spec["clip"]} if spec["clip"] else {}
    given |= {"l1_penalty": spec["l1"]} if spec["l1"] else {}
    if spec["frozen"] == "forgotten":  # it was given the last layer alone
        given["params"] = [*model.parameters()][-2:]
    kind = spec["optimizer"]
    if kind == "one-cycle":
        given["lr"] = optim.OneCycleLR(spec["rate"])
        return optim.AdamW(betas=(0.9, 0.99), **given)
    if kind in ("momentum", "nesterov"):
        given["momentum"] = spec["momentum"]
        return optim.SGD(nesterov=kind == "nesterov", **given)
    if kind in ("adam", "ascent"):
        given |= {"betas": (spec["beta1"], spec["beta2"]), "eps": spec["eps"]}
        return optim.Adam(maximize=kind == "ascent", **given)
    make = {
        "sgd": optim.SGD,
        "adamw": optim.AdamW,
        "rmsprop": optim.RMSprop,
        "adagrad": optim.Adagrad,
        "adadelta": optim.Adadelta,
        "nadam": optim.NAdam,
        "radam": optim.RAdam,
        "adamax": optim.Adamax,
    }
    return make[kind](**given)


def trainer(spec: Spec, made: Parts, seed: int) -> cr.Trainer:
    """Return the Trainer of a program, with initial weights of a seed."""
    cr.manual_seed(seed)
    model = network(spec, made.train.x.shape[1:], made.outputs, made.words)
    batch = min(spec["batch"], len(made.train))
    steps = spec["epochs"] * -(-len(made.train) // batch)
    return cr.Trainer(
        model,
        loss=loss(spec, made),
        optimizer=optimizer(spec, steps, model),
        engine="native",
        threads=1,
        seed=seed,
        ema_decay=spec["ema"] or None,
    )


def plan(spec: Spec, made: Parts) -> tuple[Any, Spec]:
    """Return what a program trains on, and how: as ``fit`` and ``diagnose`` have it."""
    given: Spec = {"epochs": spec["epochs"]}
    if spec["patience"]:
        patience, least = spec["patience"], spec["least"]
        given["callbacks"] = EarlyStopping(patience=patience, min_delta=least)
        given["validation"] = made.validation
    if spec["order"] == "shuffled":
        return made.train, given | {"batch_size": min(spec["batch"], len(made.train))}
    x, y = np.asarray(made.train.x[:]), np.asarray(made.train.y)
    some = TensorDataset(cr.tensor(x), cr.tensor(y))
    return DataLoader(some, batch_size=spec["batch"], shuffle=False), given


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
        half = spec["loss"] in HALF
        if spec["loss"] == "written-bce":
            half = spec["output"] in ("sigmoid", "softmax")
        said = outputs.reshape(-1) >= (0.5 if half else 0.0)
    else:
        said = outputs.argmax(1)
    return float((said == made.truth).mean())


def run(spec: Spec, seed: int) -> float:
    """Train a program and return its score; 0 where it does not run to the end."""
    made = parts(spec)
    try:
        fresh = trainer(spec, made, seed)
        train, given = plan(spec, made)
        fresh.fit(train, progress=False, **given)
        return score(spec, made, fresh)
    except cr.ChainruleError:
        return 0.0
