"""Hidden units that begin with the same weights, and stay the same unit."""

from __future__ import annotations

from chainrule import nn
from chainrule.doctor import examples, initialising, weights
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.doctor.subject import is_constant
from chainrule.doctor.weights import is_of_library
from chainrule.graph.node import Array
from chainrule.text import _

#: Layers with a scale for each feature.
NORMS = nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm


@symptom(
    "constant-weights",
    "initialisation",
    stage=2,
    looks=_("a wide network learns no more than one unit could, or nothing at all"),
    why=_(
        "units with equal weights get equal gradients: they stay one unit; from zero "
        "weights nothing reaches the layers before"
    ),
    fix=_("random initial weights: leave them as the layers draw them"),
    reference=_("Goodfellow, Bengio & Courville 2016, 8.4: breaking symmetry"),
    explains=(
        *("does-not-learn", "vanishing-gradient", "dead-units", "weights-badly-scaled"),
        *("learning-rate-too-small", "too-few-epochs", "batch-too-large"),
        *("learning-rate-too-large", "over-regularised", "exploding-gradient"),
        *("saturated-units",),
    ),
)
def constant_weights(case: Case) -> Found | None:
    """All rows of a hidden weight matrix are equal; measured again after the trial.

    So are scales of a normalisation that are 0, which let nothing through.
    """
    if case.refused is not None or not case.runs:
        return None
    matrices = [(n, p) for n, p in case.setup.model.named_parameters() if p.ndim > 1]
    own = dict(case.own_weights)
    bad = [
        n
        for n, p in matrices[:-1]
        if is_constant(p.numpy()) or (n in own and is_constant(own[n]))
    ]
    modules = dict(case.setup.model.named_modules())
    bad += [
        n
        for n, w in own.items()
        if n.endswith("weight")
        and isinstance(modules[n.rpartition(".")[0]], NORMS)
        and not w.any()
    ]
    if not bad:
        return None
    after = dict(case.trial.setup.model.named_parameters())
    still = sum(_alike(after[n].numpy()) for n in bad)
    paths = list(dict.fromkeys(n.rpartition(".")[0] for n in bad))
    paths = [p for p in paths if _drawn_by_rule(case, modules[p], p)] or paths
    first = own[bad[0]]
    value = float(first.reshape(-1)[0])
    same = bool((first == first.reshape(-1)[0]).all())
    before = f"# {bad[0]} = {value:g}" if same else f"# {bad[0]}: equal rows"
    change = initialising.fresh_weights(case.setup, paths, before)
    severity, best = None, None
    if change is not None and case.can_be_sick:
        severity, best = case.judge(change)
    if severity is None and case.stalls:
        severity = "sick"
    evidence = {
        "layers_of_equal_units": len(bad),
        "still_equal_after_trial": still,
        "first_weight": value,
    }
    return Found(severity or "note", ", ".join(bad[:3]), evidence, change, best)


def _alike(w: Array) -> bool:
    """Return whether the rows of a matrix are equal, or a norm's scales are all 0."""
    return is_constant(w) if w.ndim > 1 else not w.any()


def _drawn_by_rule(case: Case, module: nn.Module, path: str) -> bool:
    """Return whether something knows how to draw a module's weights."""
    fans = case.setup.fans
    return is_of_library(module) or weights.can_draw(case.setup.model, fans, path)


def _all(model: nn.Module, value: float) -> nn.Module:
    for __, p in model.named_parameters():
        nn.init.constant_(p, value)
    return model


@constant_weights.sick
def sick_example() -> examples.Made:
    return examples.example(_all(examples.mlp(), 0.0))


@constant_weights.healthy
def healthy_example() -> examples.Made:
    model = examples.mlp()
    nn.init.zeros_(model[-1].weight)  # the last layer may begin with zeros
    return examples.example(model)
