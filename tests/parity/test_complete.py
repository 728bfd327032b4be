"""Nothing that the package offers is left out of the rows, and no argument of it.

What is called by the rows is written down (``recording.py``), and held against the
signatures of everything offered. Whatever is left stands below, with the reason.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from typing import Any

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional
from chainrule import nn, optim
from chainrule.operations import declared
from tests.array_api.cases import CALLS
from tests.array_api.test_standard import call
from tests.parity import (  # noqa: F401
    layer_rows,
    rows,
    sample_databases,
    test_optim,
    test_tensor,
)
from tests.parity.test_transforms import TRANSFORMS
from tests.recording import RECORDER, Given, methods

pytestmark = pytest.mark.parity
F = chainrule.nn.functional

#: What has no counterpart in PyTorch, or no numbers, by the reason.
LEFT_OUT = {
    "classes and modules that are no functions of tensors": """
        ChainruleError History Trainer array_api func training data metrics nn optim
        special linalg distributions fft optim.lr_scheduler
        viz""",
    "types and numbers": """
        Tensor dtype newaxis e pi inf nan bool float32 float64
        int8 int16 int32 int64 uint8 uint16 uint32 uint64""",
    "PyTorch has no stable counterpart: tests/test_control.py": """
        cond scan while_loop""",
    "memory, and state that changes once: tests/test_checkpoint.py": "checkpoint",
    "other random numbers of the same distributions: tests/test_random.py": """
        bernoulli categorical get_rng_state manual_seed multinomial normal rand
        rand_like randint randn randn_like randperm set_rng_state uniform""",
    "files: tests/test_serialization.py": "save load",
    "no tensors, or shapes that depend on numbers: test_names.py": """
        equal nonzero Tensor.equal Tensor.nonzero""",
    "text about a model: tests/explanation, tests/training": """
        explain derive diagnose lr_find check_work summary check_gradients""",
    "PyTorch's databases: sample_databases.py, module_database.py": """
        F.adaptive_avg_pool3d F.adaptive_max_pool3d F.avg_pool3d F.bilinear
        F.channel_shuffle F.conv3d F.conv_transpose3d F.embedding_bag F.fold
        F.local_response_norm F.lp_pool1d F.lp_pool2d F.lp_pool3d F.max_pool3d
        F.max_unpool1d F.max_unpool2d F.max_unpool3d F.multilabel_margin_loss
        F.pad F.pdist F.pixel_unshuffle F.triplet_margin_with_distance_loss
        F.unfold F.upsample F.upsample_bilinear F.upsample_nearest
        nn.AdaptiveAvgPool3d nn.AdaptiveMaxPool3d nn.AvgPool3d nn.BatchNorm3d
        nn.Bilinear nn.ChannelShuffle nn.CircularPad1d nn.CircularPad2d
        nn.CircularPad3d nn.ConstantPad1d nn.ConstantPad2d nn.ConstantPad3d
        nn.Conv3d nn.ConvTranspose3d nn.CosineSimilarity nn.EmbeddingBag nn.Fold
        nn.InstanceNorm3d nn.LPPool1d nn.LPPool2d nn.LPPool3d
        nn.LocalResponseNorm nn.MaxPool3d nn.MaxUnpool1d nn.MaxUnpool2d
        nn.MaxUnpool3d nn.MultiLabelMarginLoss nn.PairwiseDistance
        nn.PixelUnshuffle nn.ReflectionPad1d nn.ReflectionPad2d
        nn.ReflectionPad3d nn.ReplicationPad1d nn.ReplicationPad2d
        nn.ReplicationPad3d nn.Softmax2d nn.TripletMarginWithDistanceLoss
        nn.Unfold nn.UpsamplingBilinear2d nn.UpsamplingNearest2d nn.ZeroPad1d
        nn.ZeroPad2d nn.ZeroPad3d""",
    "windows of signals: tests/parity/test_frequencies.py": """
        hann_window hamming_window blackman_window""",
    "other random numbers: tests/test_random_in_place.py": """
        Tensor.bernoulli_ Tensor.cauchy_ Tensor.exponential_ Tensor.geometric_
        Tensor.log_normal_ Tensor.normal_ Tensor.random_ Tensor.uniform_""",
    "other random numbers of the same distributions: the databases": """
        F.alpha_dropout F.dropout3d F.feature_alpha_dropout F.gumbel_softmax
        F.rrelu F.rrelu_ nn.AlphaDropout nn.Dropout3d nn.FeatureAlphaDropout
        nn.RReLU""",
    "the functions in place: tests/nn/test_changes_of_inputs.py": """
        F.celu_ F.elu_ F.hardtanh_ F.leaky_relu_ F.relu_ F.selu_ F.threshold_""",
    "other layers from the first call on: tests/nn/test_lazy.py": """
        nn.LazyBatchNorm1d nn.LazyBatchNorm2d nn.LazyBatchNorm3d nn.LazyConv1d
        nn.LazyConv2d nn.LazyConv3d nn.LazyConvTranspose1d
        nn.LazyConvTranspose2d nn.LazyConvTranspose3d nn.LazyInstanceNorm1d
        nn.LazyInstanceNorm2d nn.LazyInstanceNorm3d nn.LazyLinear""",
    "of other kinds: tests/parity/test_nn_utils.py": """
        nn.ParameterDict nn.ParameterList nn.UninitializedParameter nn.utils""",
    "weights of files: tests/parity/test_torch_weights.py, tests/interop": """
        load_torch load_keras nn.no_init""",
    "architectures beside their references: tests/models": "models",
    "files of ONNX: tests/interop, tests/parity/test_onnx_layers.py": """
        export_onnx load_onnx""",
    "programs as files: tests/test_program_files.py": "load_program",
    "runs in trackers: tests/tracking": "tracking",
    "how the rows are run": "compile no_grad",
    "how messages are told: tests/test_language.py": "set_language",
    "about dtypes: tests/array_api/test_namespace.py": """
        can_cast finfo iinfo isdtype promote_types result_type""",
    "what models are built of: tests/nn": """
        nn.Loss nn.Module nn.Parameter nn.functional nn.init nn.ModuleDict
        nn.ModuleList nn.Sequential""",
    "PyTorch has none (F.heaviside is compared with torch.heaviside): tests/nn": """
        F.kl_divergence
        nn.BasisExpansion nn.Perceptron nn.Standardize nn.Unstandardize nn.Heaviside
        nn.LogTarget nn.QuantileTarget nn.TransformedTargetLoss nn.KVCache
        nn.LearnedPositions nn.RotaryPositions nn.SinusoidalPositions nn.Steps
        nn.Transpose""",
    "torchvision's, drawn at random: tests/nn/test_augmentation.py": """
        nn.RandomAffine nn.RandomCrop nn.RandomErasing nn.RandomHorizontalFlip
        nn.RandomRotation nn.RandomVerticalFlip""",
    "torchvision's, and its formulas: tests/nn/test_image_recipes.py": """
        nn.ColorJitter nn.CutMix nn.MixUp nn.RandomResizedCrop""",
    "devices, types and gradient modes: tests/test_devices_and_types.py": """
        accelerator backends cuda jit device double enable_grad float get_default_dtype
        get_float32_matmul_precision inference_mode set_float32_matmul_precision
        int is_grad_enabled long set_default_dtype set_grad_enabled short BoolTensor
        ByteTensor CharTensor DoubleTensor FloatTensor IntTensor LongTensor ShortTensor
        Size is_tensor Tensor.is_cuda Tensor.new Tensor.new_empty Tensor.pin_memory""",
    "half of the digits: tests/parity/test_bfloat16.py, tests/test_bfloat16.py": """
        BFloat16Tensor autocast bfloat16 is_autocast_enabled Tensor.bfloat16""",
    "hooks and functions with a derivative of their own: tests/autograd": """
        autograd Tensor.register_hook Tensor.retain_grad""",
    "data sets and generators: tests/utils, tests/test_random.py": "utils Generator",
    "what the derivatives of rows are made with: tests/test_tensor.py": """
        Tensor.backward Tensor.requires_grad_ Tensor.zero_grad Tensor.grad
        Tensor.data""",
    "between the tensor and the engines": """
        Tensor.defer Tensor.name Tensor.value Tensor.version""",
    "refused, since there are no GPUs": "Tensor.cuda",
    "tables, bases and files: tests/optim": """
        optim.OPTIMIZERS optim.SCHEDULES optim.ParamGroup optim.RuleOptimizer
        optim.Optimizer
        optim.build_schedule""",
    "gradients of rows alone: tests/parity/test_rows.py": "optim.SparseAdam",
    "Keras has it, and PyTorch has not: tests/optim": "optim.PiecewiseConstantLR",
    "agents: tests/rl": "rl",
    "assertions: tests/parity/test_testing.py": "testing",
}
NAMES = {name for names in LEFT_OUT.values() for name in names.split()}
#: Arguments, by the function or for all of them, with the reason.
ARGUMENTS = {
    "nn.*.device": "the CPU: tests/test_devices_and_types.py",
    "tensor.device": "the CPU: tests/test_devices_and_types.py",
    "as_tensor.device": "the CPU: tests/test_devices_and_types.py",
    "nn.*.dtype": "the rows convert whole modules, in both dtypes",
    "nn.Linear.init": "an initialiser by its name, ours alone: tests/nn/test_init.py",
    "nn.PReLU.init": "the rows give both the same slopes: tests/nn/test_layers.py",
    "nn.CausalSelfAttention.rotary": "PyTorch has none: tests/nn/test_positions.py",
    "nn.Identity.args": "taken and left, as PyTorch does: tests/nn",
    "nn.Identity.kwargs": "taken and left, as PyTorch does: tests/nn",
    "nn.*.padding_mode": "of transposed convolutions, zeros alone",
    "F.*.sample_weight": "ours alone: tests/nn/test_loss_properties.py",
    "F.scaled_dot_product_attention.dropout_p": "random: tests/nn/test_layers.py",
    "F.softmax.dtype": "tests/parity/test_names.py",
    "F.log_softmax.dtype": "tests/parity/test_names.py",
    "F.softmin.dtype": "PyTorch's database of functions: sample_databases.py",
    "cumulative_prod.include_initial": "the standard's: tests/array_api/cases.py",
    "cumulative_sum.include_initial": "the standard's: tests/array_api/cases.py",
    "reshape.copy": "the standard's: tests/array_api/test_complete.py",
    "Tensor.reshape.copy": "the standard's: tests/array_api/test_complete.py",
    **dict.fromkeys(
        ("var.axis", "std.axis", "Tensor.var.axis", "Tensor.std.axis"),
        "needs a correction: tests/parity/test_tensor.py",
    ),
    "astype.device": "the standard's: tests/array_api/test_complete.py",
    "optim.*.params": "what is updated",
    "optim.*.steps_per_epoch": "how epochs are counted: tests/optim",
    "optim.ReduceLROnPlateau.monitor": "which number is watched: tests/optim",
    "optim.*.parameters": "whose gradients are clipped",
    "optim.*.l1_penalty": "PyTorch has none: tests/optim/test_l1_penalty.py",
    "pad.mode": "PyTorch's database of functions: sample_databases.py",
    "nn.*.inplace": "tests/nn/test_changes_of_inputs.py",
    "nn.Embedding.max_norm": "PyTorch's databases",
    "nn.Embedding.norm_type": "PyTorch's databases",
    "nn.Embedding.scale_grad_by_freq": "PyTorch's databases",
    "nn.Embedding.sparse": "PyTorch's databases",
    "nn.GRU.proj_size": "PyTorch's databases",
    "nn.LSTM.proj_size": "PyTorch's databases",
    "nn.MultiheadAttention.add_bias_kv": "PyTorch's databases",
    "nn.MultiheadAttention.add_zero_attn": "PyTorch's databases",
    "nn.Softplus.threshold": "PyTorch's databases",
    "nn.Upsample.recompute_scale_factor": "PyTorch's databases",
    "nn.Upsample.antialias": "PyTorch's databases",
    "F.*.inplace": "tests/nn/test_changes_of_inputs.py",
    "F.embedding.max_norm": "PyTorch's databases",
    "F.embedding.norm_type": "PyTorch's databases",
    "F.embedding.scale_grad_by_freq": "PyTorch's databases",
    "F.embedding.sparse": "PyTorch's databases",
    "F.interpolate.recompute_scale_factor": "PyTorch's databases",
    "F.interpolate.antialias": "PyTorch's databases",
    "F.scaled_dot_product_attention.enable_gqa": "PyTorch's databases",
    "F.softplus.threshold": "PyTorch's databases",
    "optim.clip_grad_norm_.norm_type": "PyTorch's databases",
    "optim.clip_grad_norm_.error_if_nonfinite": "PyTorch's databases",
    "Tensor.to_device.stream": "None alone, on a CPU",
}


def run(given: Given) -> None:
    """Every row once, eagerly."""
    for row in [*rows.ROWS, *layer_rows.ROWS]:
        if not isinstance(row.ours, nn.Module):
            row.ours(*map(cr.tensor, row.inputs))
    for name, cases in CALLS.items():
        if name in cr.array_api.DIFFERENT:
            continue  # tests/array_api
        for case in cases[:: max(len(cases) // 40, 1)] + cases[-6:]:
            call(rows.HERE, name, case)
    for row in layer_rows.ROWS:
        kind = type(row.ours).__name__
        if isinstance(row.ours, nn.Module) and kind.endswith("Loss"):
            for name, module in F.__dict__.items():
                if getattr(module, "layer", None) is type(row.ours):
                    given[f"F.{name}"] |= arguments_of(row.ours)
    for name, arguments in TRANSFORMS.items():
        given[name] |= arguments
    for case in test_optim.CASES:
        given[f"optim.{case.name}"] |= case.arguments()
    for text in test_optim.SCHEDULES:
        test_optim.ours_of(text, "step")
    for options in test_optim.PLATEAUS:
        test_optim.HERE.ReduceLROnPlateau(0.5, **options)
    for name in sample_databases.offered():  # test_sample_databases.py takes these
        thing = offered().get(name) or offered().get(f"Tensor.{name}")
        if "." not in name and callable(thing):
            own = inspect.signature(thing).parameters
            given[name] |= {p for p in own if excused(name, p) is None}
    given["optim.clip_grad_norm_"] |= {"max_norm"}  # test_optim.py calls them
    given["optim.clip_grad_value_"] |= {"clip_value"}
    for options in test_optim.LBFGS:
        given["optim.LBFGS"] |= {*options}


def share(given: Given) -> None:
    """Note what tests/test_declared.py holds: all forms of a function are one.

    A function is the method; aliases mean the parameter; a change in place gives the
    numbers of the function.
    """
    for op in declared():
        names = [*(op.name, *op.names), *(f"Tensor.{n}" for n in (op.name, *op.names))]
        arguments = {argument for name in names for argument in given[name]}
        arguments |= {*op.__signature__.parameters} - op.keywords - {op.several}
        for name in names:
            if arguments and name in (*given, f"Tensor.{op.name}"):
                given[name] |= arguments
        for name in (op.name, *op.names) if op.in_place else ():
            given[f"Tensor.{name}_"] |= {*op.__signature__.parameters}


def arguments_of(module: Any) -> set[str]:
    """What a loss was given, and the tensors that it takes."""
    names = inspect.signature(type(module).forward).parameters
    tensors = set(names) - {"self", "sample_weight"} | {"input"}
    return tensors | {k for k, v in module.settings().items() if v is not None}


def offered() -> dict[str, Any]:
    made = {name: getattr(cr, name) for name in cr.__all__}
    for prefix, namespace in (("nn", nn), ("F", F), ("optim", optim)):
        made |= {f"{prefix}.{n}": getattr(namespace, n) for n in namespace.__all__}
    for name in dir(cr.Tensor):
        if not name.startswith("_"):
            made[f"Tensor.{name}"] = getattr(cr.Tensor, name)
    return made


def excused(name: str, argument: str) -> str | None:
    """The key of the reason why an argument is left out."""
    package = name.partition(".")[0] + ".*"
    keys = (f"{name}.{argument}", f"{package}.{argument}", f"*.{argument}")
    return next((k for k in keys if k in ARGUMENTS), None)


def test_every_argument_of_everything_is_tried() -> None:
    given: Given = defaultdict(set)
    with np.errstate(all="ignore"), methods(cr.Tensor), RECORDER.on(given):
        run(given)
    for name, arguments in RECORDER.made.items():
        given[name] |= arguments
    share(given)
    missing, needed, tried = [], set(), 0
    for name, thing in offered().items():
        if name in NAMES:
            continue
        if name not in given:
            missing.append(name)
            continue
        if not callable(thing):
            continue
        for argument in inspect.signature(thing).parameters:
            if argument == "self" or argument in given[name]:
                tried += argument != "self"
            elif (key := excused(name, argument)) is not None:
                needed.add(key)
            else:
                missing.append(f"{name}({argument}=)")
    assert not missing, " ".join(missing)
    assert needed == set(ARGUMENTS), "reasons that nothing needs"
    assert not [n for n in NAMES if n not in offered()], "names that are not offered"
    assert tried > 900
