"""Functions of ``nn.functional`` and the modules of their names are the same.

Most functions follow from the class (``as_function``). Those with parameters of their
own have a signature of their own: each argument that both have is given what it should
not be; both refuse it, or both compute the same.
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
from tests.rows import table

#: Names that do not follow from one another.
OTHER = {"batch_norm": "BatchNorm1d", "instance_norm": "InstanceNorm1d"}
#: Without a module.
NO_PAIR = {
    *("affine_grid", "grid_sample", "gumbel_softmax", "normalize", "one_hot", "pad"),
    *("pdist", "scaled_dot_product_attention"),
}
HOSTILE: list[Any] = [
    *(-1, -5.0, 0, 0.0, 0.5, 1.0, 2, 7, 1e300, float("nan"), float("inf")),
    *(float("-inf"), "a", None, True, [1], (1, 2), 1j, object()),
    cr.tensor(0.5, requires_grad=True),
]


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


MODULES = {_plain(n): n for n in nn.__all__ if isinstance(getattr(nn, n), type)}
DERIVED = {f: getattr(F, f).layer for f in F.__all__ if hasattr(getattr(F, f), "layer")}
PAIRS = {
    f: OTHER.get(f) or MODULES.get(_plain(f)) for f in F.__all__ if f not in DERIVED
}

_rows = np.linspace(-2, 2, 24).astype(np.float32).reshape(4, 6)
_image = cr.tensor(np.linspace(-1, 1, 64).astype(np.float32).reshape(1, 4, 4, 4))
_signal, _column = cr.tensor(_rows.reshape(1, 4, 6)), cr.tensor(_rows[:, 0])
_volume = cr.tensor(np.linspace(-1, 1, 108).astype(np.float32).reshape(1, 4, 3, 3, 3))
_labels = cr.tensor([0, 1, 2, 3])
#: What a function computes of, where it is no matrix.
INPUTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(
        ["batch_norm", "instance_norm"], (_signal, cr.zeros(4), cr.ones(4))
    ),
    **dict.fromkeys(["conv1d", "conv_transpose1d"], (_signal, cr.ones(4, 4, 3))),
    **dict.fromkeys(["conv2d", "conv_transpose2d"], (_image, cr.ones(4, 4, 3, 3))),
    **dict.fromkeys(["cosine_similarity", "pairwise_distance"], (_rows, _rows[::-1])),
    "bilinear": (_rows, _rows, cr.ones(2, 6, 6)),
    **dict.fromkeys(["conv3d", "conv_transpose3d"], (_volume, cr.ones(4, 4, 2, 2, 2))),
    "embedding_bag": (cr.tensor([[0, 1], [2, 3]]), cr.ones(5, 3)),
    "max_unpool1d": (_signal, cr.ones(1, 4, 6).astype("int64")),
    "max_unpool2d": (_image, cr.ones(1, 4, 4, 4).astype("int64")),
    "max_unpool3d": (_volume, cr.ones(1, 4, 3, 3, 3).astype("int64")),
    "dropout3d": (_volume,),
    "feature_alpha_dropout": (_signal,),
    "max_pool3d": (_volume,),
    "upsample": (_signal,),
    "max_pool1d": (_signal,),
    "max_pool2d": (_image,),
    "dropout1d": (_signal,),
    "dropout2d": (_image,),
    "embedding": (_labels, cr.ones(5, 3)),
    "group_norm": (_signal,),
    "linear": (_rows, cr.ones(2, 6)),
    "prelu": (_rows, cr.tensor([0.25])),
}
#: What a function or a module cannot do without.
NEEDED: dict[str, dict[str, Any]] = {
    **{
        f: {"in_channels": 4, "out_channels": 4, "kernel_size": 3}
        for f in ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d")
    },
    **{
        f: {"in_channels": 4, "out_channels": 4, "kernel_size": 2}
        for f in ("conv3d", "conv_transpose3d")
    },
    **{f"max_unpool{n}d": {"kernel_size": 2} for n in (1, 2, 3)},
    "max_pool3d": {"kernel_size": 2},
    "upsample": {"scale_factor": 2},
    "bilinear": {"in1_features": 6, "in2_features": 6, "out_features": 2},
    "embedding_bag": {"num_embeddings": 5, "embedding_dim": 3},
    "threshold_": {"threshold": 0.5, "value": 2.0},
    "max_pool1d": {"kernel_size": 2},
    "max_pool2d": {"kernel_size": 2},
    "batch_norm": {"num_features": 4},
    "instance_norm": {"num_features": 4},
    "embedding": {"num_embeddings": 5, "embedding_dim": 3},
    "group_norm": {"num_groups": 2, "num_channels": 4},
    "layer_norm": {"normalized_shape": 6},
    "linear": {"in_features": 6, "out_features": 2},
    "rms_norm": {"normalized_shape": 6},
}


#: Tensors of a function, of which a module has its own.
PARAMETERS = {
    (f, n)
    for f in (
        *("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "linear"),
        *("conv3d", "conv_transpose3d", "bilinear"),
        *("batch_norm", "instance_norm", "group_norm", "layer_norm"),
    )
    for n in ("weight", "bias")
}
#: How many inputs a module takes, where it is not one.
TAKES = dict.fromkeys(("bilinear", "cosine_similarity", "pairwise_distance"), 2)
TAKES |= {f"max_unpool{n}d": 2 for n in (1, 2, 3)}
#: What a module alone takes, with the reason.
MORE = {
    ("batch_norm", "momentum", "None"): "the average of all batches, which it counts",
    ("conv_transpose3d", "groups", "2"): "its weights have another shape then",
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

    def of_module() -> Any:
        made = module(**wanted)
        if "norm" not in name:  # the function's parameters
            for parameter, numbers in made.named_parameters():
                with cr.no_grad():
                    numbers.copy_(
                        inputs[TAKES.get(name, 1)]
                        if parameter == "weight"
                        else numbers * 0
                    )
        return made(*inputs[: TAKES.get(name, 1)])

    first = outcome(lambda: function(*(i.clone() for i in inputs), **more))
    return first, outcome(of_module)


def test_every_function_with_a_module_is_tried() -> None:
    assert {f for f, m in PAIRS.items() if m is None} == NO_PAIR
    tried = {f: options(f) for f, m in PAIRS.items() if m}
    assert sum(map(len, tried.values())) > 40
    for name in tried:
        function, module = both(name)
        assert function is not None, name
        assert module is not None, name


@pytest.mark.one_in(2)
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


@table("name", DERIVED)
def test_a_derived_function_has_the_signature_of_its_layer(name: str) -> None:
    function, layer = getattr(F, name), DERIVED[name]
    inputs = [*inspect.signature(layer.forward).parameters][1:]
    wanted = [*inspect.signature(layer).parameters]
    weights = [i for i in inputs if i == "sample_weight"]
    inputs = [i for i in inputs if i != "sample_weight"]
    if inputs[0] in ("prediction", "x"):
        inputs[0] = "input"
    assert [*inspect.signature(function).parameters] == inputs + wanted + weights
    assert function.__name__ == name
    assert layer.__doc__.partition("\n")[0] in function.__doc__
    assert f"chainrule.nn.{layer.__name__}`" in function.__doc__


def test_a_derived_function_is_its_layer_for_arguments_of_each_kind() -> None:
    """Layers are cached by their arguments; equal ones of other types are others."""
    x = cr.tensor(_rows)
    for slope in (1, 1.0, np.float32(1), 1):
        made = F.leaky_relu(x, slope)
        np.testing.assert_array_equal(made.numpy(), _rows)
    for wrong in (True, "1", [1.0]):
        for given in ((x, wrong), (x,)):
            more = {} if len(given) > 1 else {"negative_slope": wrong}
            with pytest.raises(cr.errors.ArgumentError, match="negative_slope"):
                F.leaky_relu(*given, **more)
    assert F.avg_pool2d(_image, (2, 1)).shape == (1, 4, 2, 4)
    with pytest.raises(cr.errors.ArgumentError, match="kernel_size"):
        F.avg_pool2d(_image, (2, True))
    assert F.avg_pool2d(input=_image, kernel_size=[2, 1]).shape == (1, 4, 2, 4)
    with pytest.raises(cr.errors.CallError, match="did you mean 'negative_slope'"):
        F.leaky_relu(x, negative_slop=0.1)
    with pytest.raises(TypeError, match="missing a required argument: 'input'"):
        F.relu()


def test_a_loss_as_a_function_takes_weights_and_tensors() -> None:
    scores, labels, weight = _rows[:, :3], [0, 1, 2, 0], cr.tensor([1.0, 2.0, 0.5])
    wanted = nn.CrossEntropyLoss(weight)(scores, labels, [1, 0, 2, 1])
    for made in (
        F.cross_entropy(scores, labels, weight, sample_weight=[1, 0, 2, 1]),
        F.cross_entropy(
            weight=weight, sample_weight=[1, 0, 2, 1], target=labels, input=scores
        ),
    ):
        assert made.item() == wanted.item()
