"""A function of ``nn.functional`` and the module of its name refuse the same numbers.

Pairs are found by name, their common arguments by their signatures. Each argument is
given what it should not be; both refuse it, or both compute the same.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn

#: Names that do not follow from one another.
OTHER = {
    "batch_norm": "BatchNorm1d",
    "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "instance_norm": "InstanceNorm1d",
    "interpolate": "Upsample",
}
#: Without options of their own, or made of parameters that the module draws.
NO_PAIR = {
    *("affine_grid", "cosine_similarity", "grid_sample", "normalize", "one_hot"),
    *("pairwise_distance", "scaled_dot_product_attention"),
}
HOSTILE: list[Any] = [
    *(-1, -5.0, 0, 0.0, 0.5, 1.0, 2, 7, 1e300, float("nan"), float("inf")),
    *(float("-inf"), "a", None, True, [1], (1, 2), 1j, object()),
    cr.tensor(0.5, requires_grad=True),
]


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


MODULES = {_plain(n): n for n in nn.__all__ if isinstance(getattr(nn, n), type)}
PAIRS = {
    f: OTHER.get(f) or MODULES.get(_plain(f)) or MODULES.get(_plain(f) + "loss")
    for f in F.__all__
}

_rows = np.linspace(-2, 2, 24).astype(np.float32).reshape(4, 6)
_image = cr.tensor(np.linspace(-1, 1, 64).astype(np.float32).reshape(1, 4, 4, 4))
_signal, _column = cr.tensor(_rows.reshape(1, 4, 6)), cr.tensor(_rows[:, 0])
_chance = cr.tensor(_rows).softmax(1)
_labels, _signs = cr.tensor([0, 1, 2, 3]), cr.tensor([1, -1, 1, -1])
#: What a function computes of, where it is no matrix.
INPUTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(
        ["batch_norm", "instance_norm"], (_signal, cr.zeros(4), cr.ones(4))
    ),
    **dict.fromkeys(["conv1d", "conv_transpose1d"], (_signal, cr.ones(4, 4, 3))),
    **dict.fromkeys(["conv2d", "conv_transpose2d"], (_image, cr.ones(4, 4, 3, 3))),
    **dict.fromkeys([f for f in F.__all__ if f.endswith("pool1d")], (_signal,)),
    **dict.fromkeys([f for f in F.__all__ if f.endswith("pool2d")], (_image,)),
    "dropout1d": (_signal,),
    "dropout2d": (_image,),
    "embedding": (_labels, cr.ones(5, 3)),
    "group_norm": (_signal,),
    "interpolate": (_signal,),
    "linear": (_rows, cr.ones(2, 6)),
    "pixel_shuffle": (_image,),
    "prelu": (_rows, cr.tensor([0.25])),
    "binary_cross_entropy": (_chance, _chance.round()),
    "binary_cross_entropy_with_logits": (_rows, _chance.round()),
    "cosine_embedding_loss": (_rows, _rows[::-1], _signs),
    **dict.fromkeys(["cross_entropy", "multi_margin_loss"], (_rows, _labels)),
    "ctc_loss": (
        cr.zeros(5, 2, 4).log_softmax(-1),
        cr.tensor([[1, 2], [3, 1]]),
        cr.tensor([5, 5]),
        cr.tensor([2, 2]),
    ),
    "gaussian_kl_div": (_rows, _rows),
    "gaussian_nll_loss": (_rows, _rows, cr.ones(4, 6)),
    **dict.fromkeys(
        ["hinge_embedding_loss", "hinge_loss", "soft_margin_loss"], (_column, _signs)
    ),
    "perceptron_loss": (_column, _signs > 0),
    "kl_div": (_chance, _chance),
    "margin_ranking_loss": (_column, _column * 2, _signs),
    "multilabel_soft_margin_loss": (_rows, _chance.round()),
    "nll_loss": (_chance.log(), _labels),
    "poisson_nll_loss": (_rows, _chance.round()),
    "triplet_margin_loss": (_rows, _rows * 2, _rows[::-1]),
    **dict.fromkeys(
        ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"], (_rows,) * 2
    ),
}
#: What a function or a module cannot do without.
NEEDED: dict[str, dict[str, Any]] = {
    **{
        f: {"in_channels": 4, "out_channels": 4, "kernel_size": 3}
        for f in ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d")
    },
    **{f: {"kernel_size": 2} for f in F.__all__ if "_pool" in f},
    **{f: {"output_size": 2} for f in F.__all__ if "adaptive" in f},
    "batch_norm": {"num_features": 4},
    "instance_norm": {"num_features": 4},
    "embedding": {"num_embeddings": 5, "embedding_dim": 3},
    "group_norm": {"num_groups": 2, "num_channels": 4},
    "interpolate": {"scale_factor": 2},
    "layer_norm": {"normalized_shape": 6},
    "linear": {"in_features": 6, "out_features": 2},
    "pixel_shuffle": {"upscale_factor": 2},
    "rms_norm": {"normalized_shape": 6},
    "threshold": {"threshold": 0.5, "value": 0.0},
}


#: Tensors of a function, of which a module has its own.
PARAMETERS = {
    (f, n)
    for f in (
        *("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "linear"),
        *("batch_norm", "instance_norm", "group_norm", "layer_norm"),
    )
    for n in ("weight", "bias")
}
#: What a module alone takes, with the reason.
MORE = {
    ("batch_norm", "momentum", "None"): "the average of all batches, which it counts",
    ("conv_transpose1d", "groups", "2"): "its weights have another shape then",
    ("conv_transpose2d", "groups", "2"): "its weights have another shape then",
}


def options(name: str) -> list[str]:
    """The arguments that a function and its module have in common."""
    module = PAIRS[name]
    assert module
    mine = inspect.signature(getattr(F, name)).parameters
    theirs = inspect.signature(getattr(nn, module)).parameters
    return [n for n in mine if n in theirs and (name, n) not in PARAMETERS]


def outcome(run: Callable[[], Any]) -> Any:
    """The numbers of a result, or None where it was refused."""
    cr.manual_seed(0)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            made = run()
    except cr.ChainruleError:
        return None
    return [m.detach().numpy() for m in (made if isinstance(made, tuple) else (made,))]


def both(name: str, **given: Any) -> tuple[Any, Any]:
    """What a function and the module of its name make of these arguments."""
    inputs = [cr.as_tensor(i) for i in INPUTS.get(name, (_rows,))]
    module, wanted = getattr(nn, PAIRS[name] or ""), {**NEEDED.get(name, {}), **given}
    function = getattr(F, name)
    signature = inspect.signature(function).parameters
    more = {"training": True} if "training" in signature else {}
    more |= {k: v for k, v in wanted.items() if k in signature}
    loss = name.endswith(("loss", "entropy", "logits", "div"))

    def of_module() -> Any:
        made = module(**wanted)
        if "norm" not in name:  # the function's parameters
            for parameter, numbers in made.named_parameters():
                with cr.no_grad():
                    numbers.copy_(inputs[1] if parameter == "weight" else numbers * 0)
        return made(*inputs) if loss else made(inputs[0])

    first = outcome(lambda: function(*(i.clone() for i in inputs), **more))
    return first, outcome(of_module)


def test_every_function_with_a_module_is_tried() -> None:
    assert {f for f, m in PAIRS.items() if m is None} == NO_PAIR
    tried = {f: options(f) for f, m in PAIRS.items() if m}
    assert sum(map(len, tried.values())) > 100
    for name in tried:
        function, module = both(name)
        assert function is not None, name
        assert module is not None, name


@pytest.mark.parametrize("name", [f for f, m in PAIRS.items() if m and options(f)])
def test_a_function_refuses_what_its_module_refuses(name: str) -> None:
    for option in options(name):
        for value in HOSTILE:
            if (name, option, str(value)) in MORE:
                continue
            function, module = both(name, **{option: value})
            said = f"{name}({option}={value!r})"
            assert (function is None) == (module is None), said
            if function is not None:
                for a, b in zip(function, module, strict=True):
                    np.testing.assert_array_equal(a, b, err_msg=said)
        known = inspect.signature(getattr(F, name)).parameters[option].default
        if isinstance(known, float):
            for value in (float("nan"), "a", True, HOSTILE[-1]):
                assert both(name, **{option: value}) == (None, None), (option, value)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("softshrink", {"lambd": -1.0}),
        ("hardshrink", {"lambd": -1.0}),
        ("hardtanh", {"min_val": 1.0, "max_val": -1.0}),
        ("celu", {"alpha": 0.0}),
        ("softplus", {"beta": 0.0}),
        ("batch_norm", {"eps": -5.0}),
        ("batch_norm", {"momentum": 2.0}),
        ("instance_norm", {"momentum": -1.0}),
        ("layer_norm", {"eps": -1e-5}),
        ("rms_norm", {"eps": -1.0}),
        ("group_norm", {"eps": -1.0}),
        ("dropout", {"p": 1.0}),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    name: str, given: dict[str, Any]
) -> None:
    assert both(name, **given) == (None, None)
