"""Chainrule: a glass-box deep learning framework in pure Python.

One graph carries training, compilation and explanation. See README.md for the way in.
"""

import importlib
from functools import partial
from typing import TYPE_CHECKING, Any

from chainrule import functions
from chainrule.engines.threads import uninterrupted
from chainrule.errors import ChainruleError, MissingAttributeError, nearest
from chainrule.graph.context import (
    enable_grad,
    get_default_dtype,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_default_dtype,
    set_grad_enabled,
)
from chainrule.graph.types import DType as dtype  # noqa: N813 - the public name
from chainrule.operations.device import Device as device  # noqa: N813 - the public name
from chainrule.operations.names import DRAWS
from chainrule.tensor import FORMS, Tensor, as_tensor, tensor
from chainrule.text import _
from chainrule.util.pytorch_hints import PACKAGE
from chainrule.version import __version__ as __version__

if TYPE_CHECKING:
    from chainrule import (
        accelerator,
        array_api,
        autograd,
        backends,
        cuda,
        data,
        distributions,
        fft,
        func,
        jit,
        linalg,
        metrics,
        models,
        nn,
        optim,
        rl,
        special,
        testing,
        tracking,
        training,
        utils,
        viz,
    )
    from chainrule import errors as errors
    from chainrule import random as random
    from chainrule.backends import (
        get_float32_matmul_precision,
        set_float32_matmul_precision,
    )
    from chainrule.book.derivation import derive
    from chainrule.book.marking import check_work
    from chainrule.compilation.api import compile
    from chainrule.compilation.portable.loaded import load_program
    from chainrule.doctor import diagnose, lr_find
    from chainrule.explanation import explain
    from chainrule.functions import *  # noqa: F403
    from chainrule.functions.tensor_types import (
        BFloat16Tensor,
        BoolTensor,
        ByteTensor,
        CharTensor,
        DoubleTensor,
        FloatTensor,
        IntTensor,
        LongTensor,
        ShortTensor,
        Size,
        is_tensor,
    )
    from chainrule.gradient_check import check_gradients
    from chainrule.interop.keras_weights.loading import load_keras
    from chainrule.interop.onnx.reader import load_onnx
    from chainrule.interop.onnx.writer.export import export_onnx
    from chainrule.interop.serialization import load, save
    from chainrule.interop.torch_weights.loading import load_torch
    from chainrule.nn import functional_call
    from chainrule.nn.summary import summary
    from chainrule.operations.autocasting import autocast, is_autocast_enabled
    from chainrule.random import (
        Generator,
        bernoulli,
        categorical,
        get_rng_state,
        manual_seed,
        multinomial,
        normal,
        rand,
        rand_like,
        randint,
        randn,
        randn_like,
        randperm,
        set_rng_state,
        uniform,
    )
    from chainrule.text.languages import set_language
    from chainrule.training import History, Trainer
    from chainrule.transforms.control import cond, scan, while_loop
    from chainrule.transforms.derivatives import (
        grad,
        gradients,
        hessian,
        jacobian,
        jvp,
        value_and_grad,
        vjp,
    )
    from chainrule.transforms.recomputation import checkpoint
    from chainrule.transforms.vectorization import vmap

bool = dtype.bool
uint8, uint16, uint32, uint64 = dtype.uint8, dtype.uint16, dtype.uint32, dtype.uint64
int8, int16, int32, int64 = dtype.int8, dtype.int16, dtype.int32, dtype.int64
float32, float64, bfloat16 = dtype.float32, dtype.float64, dtype.bfloat16
# PyTorch's other names of them.
float, double = float32, float64
short, int, long = int16, int32, int64

#: Submodules that are imported when they are first asked for.
_PARTS = (
    *("accelerator", "array_api", "autograd", "backends", "cuda", "data"),
    *("distributions", "fft", "func", "jit", "linalg", "metrics", "models"),
    *(
        "nn",
        "optim",
        "random",
        "rl",
        "special",
        "testing",
        "tracking",
        "training",
        "utils",
    ),
    "viz",
)
#: What is imported with the first of its names that is asked for.
_LAZY = {
    "backends": "get_float32_matmul_precision set_float32_matmul_precision",
    "book.derivation": "derive",
    "book.marking": "check_work",
    "compilation.api": "compile",
    "compilation.portable.loaded": "load_program",
    "doctor": "diagnose lr_find",
    "explanation": "explain",
    "functions.tensor_types": """
        BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor
        IntTensor LongTensor ShortTensor Size is_tensor
    """,
    "gradient_check": "check_gradients",
    "interop.onnx.reader": "load_onnx",
    "interop.onnx.writer.export": "export_onnx",
    "interop.serialization": "load save",
    "interop.keras_weights.loading": "load_keras",
    "interop.torch_weights.loading": "load_torch",
    "nn": "functional_call",
    "nn.summary": "summary",
    "operations.autocasting": "autocast is_autocast_enabled",
    "random": """
        Generator bernoulli categorical get_rng_state manual_seed multinomial normal
        rand rand_like randint randn randn_like randperm set_rng_state uniform
    """,
    "text.languages": "set_language",
    "training": "History Trainer",
    "transforms.control": "cond scan while_loop",
    "transforms.derivatives": """
        grad gradients hessian jacobian jvp value_and_grad vjp
    """,
    "transforms.recomputation": "checkpoint",
    "transforms.vectorization": "vmap",
}
_MODULES = {name: module for module, text in _LAZY.items() for name in text.split()}


def _imported(name: str) -> Any:
    """Return a module of the package, which Ctrl-C does not leave half imported."""
    with uninterrupted:
        return importlib.import_module(f"chainrule.{name}")


FORMS.later(DRAWS, partial(_imported, "random.in_place"))

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Return a submodule, or a name of one, that is imported at its first use."""
        if name in functions.__all__:
            return globals().setdefault(name, getattr(functions, name))
        if name in _MODULES:
            return globals().setdefault(name, getattr(_imported(_MODULES[name]), name))
        if name in _PARTS:
            return _imported(name)
        text = _("module 'chainrule' has no attribute {name!r}", name=name)
        fix = PACKAGE.get(name, "")
        raise MissingAttributeError(
            text, "" if fix else _elsewhere(name), fix=fix, name=name
        )


def __dir__() -> list[str]:
    """Return the public names of the package ``chainrule``."""
    own = [name for name in globals() if name.startswith("__")]
    return sorted({*own, *__all__})


def _elsewhere(name: str) -> str:
    """Return a hint for an unknown name of the package: its submodule, or one alike."""
    if name.startswith("_"):
        return ""
    if name in ("fit", "evaluate", "predict"):
        return _("it is a method: cr.Trainer(model, …).{name}(…)", name=name)
    parts = ["nn", "optim", "data"]
    if name[0].isupper():  # submodules, which are looked for here too, are not
        parts += ["metrics", "training", "viz"]
    for part in parts:
        if name in importlib.import_module(f"chainrule.{part}").__all__:
            return _("there is cr.{part}.{name}", part=part, name=name)
    if hasattr(Tensor, name):
        return _("it is a method of tensors: x.{name}(…)", name=name)
    near = nearest(name, __all__, 0.75)
    return _("did you mean cr.{near}?", near=near) if near else ""


__all__ = [
    "BFloat16Tensor",
    "BoolTensor",
    "ByteTensor",
    "ChainruleError",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "Generator",
    "History",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
    "Size",
    "Tensor",
    "Trainer",
    "accelerator",
    "array_api",
    "as_tensor",
    "autocast",
    "autograd",
    "backends",
    "bernoulli",
    "bfloat16",
    "bool",
    "categorical",
    "check_gradients",
    "check_work",
    "checkpoint",
    "compile",
    "cond",
    "cuda",
    "data",
    "derive",
    "device",
    "diagnose",
    "distributions",
    "double",
    "dtype",
    "enable_grad",
    "explain",
    "export_onnx",
    "fft",
    "float",
    "float32",
    "float64",
    "func",
    "functional_call",
    "get_default_dtype",
    "get_float32_matmul_precision",
    "get_rng_state",
    "grad",
    "gradients",
    "hessian",
    "inference_mode",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_autocast_enabled",
    "is_grad_enabled",
    "is_tensor",
    "jacobian",
    "jit",
    "jvp",
    "linalg",
    "load",
    "load_keras",
    "load_onnx",
    "load_program",
    "load_torch",
    "long",
    "lr_find",
    "manual_seed",
    "metrics",
    "models",
    "multinomial",
    "nn",
    "no_grad",
    "normal",
    "optim",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "rl",
    "save",
    "scan",
    "set_default_dtype",
    "set_float32_matmul_precision",
    "set_grad_enabled",
    "set_language",
    "set_rng_state",
    "short",
    "special",
    "summary",
    "tensor",
    "testing",
    "tracking",
    "training",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "uniform",
    "utils",
    "value_and_grad",
    "viz",
    "vjp",
    "vmap",
    "while_loop",
]
__all__ += functions.__all__
