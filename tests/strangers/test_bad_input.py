"""What users of PyTorch write that is not here: an error, with what to write."""

from __future__ import annotations

import importlib
import inspect
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, CallError, MissingAttributeError, nearest
from chainrule.nn import functional as F

pytestmark = pytest.mark.parity

MODEL, X = nn.Linear(3, 2), cr.ones(2, 3)
#: What the expressions see.
SEEN = {"cr": cr, "nn": nn, "F": F, "optim": optim, "io": io, "MODEL": MODEL, "X": X}


@pytest.mark.parametrize(
    ("call", "fix"),
    [
        ("X.to('cuda')", "leave the device out"),
        ("X.cuda()", "leave the device out"),
        ("MODEL.cuda()", "leave the device out"),
        ("MODEL.to(cr.device('cuda:0'))", "leave the device out"),
        ("cr.ones(2, device='mps')", "leave the device out"),
        ("nn.Linear(2, 3, device='cuda')", "leave the device out"),
        ("cr.tensor([1.0], dtype='float16')", "convert first"),
        ("cr.load('x.pt', map_location='cuda')", "leave the device out"),
        ("cr.load('x.pt', weights_only=False)", "state_dict()"),
        ("cr.load('x.pt', pickle_module=io)", "files hold no code"),
        ("cr.save({}, io.BytesIO(), pickle_protocol=2)", "files hold no code"),
        ("cr.save(MODEL, io.BytesIO())", "cr.save(model.state_dict(), path)"),
        ("cr.compile(MODEL, backend='inductor')", "engine=…"),
        ("cr.compile(MODEL, fullgraph=True)", "always one graph"),
        ("cr.zeros(2, out=X)", "y.copy_(f(x))"),
        ("X.sum(0, out=X)", "y.copy_(f(x))"),
        ("X.contiguous(memory_format=1)", "does not show"),
        ("MODEL.to(memory_format=1)", "does not show"),
        ("X.backward(inputs=[X])", "cr.gradients(loss, inputs)"),
        ("MODEL.load_state_dict({}, assign=True)", "are copied"),
        ("cr.autograd.grad(X, X, only_inputs=True)", "it is so"),
        ("optim.Adam(MODEL.parameters(), capturable=True)", "one program"),
        ("F.mse_loss(X, X, size_average=False)", "reduction="),
    ],
)
def test_calls(call: str, fix: str) -> None:
    with pytest.raises(cr.ChainruleError) as caught:
        eval(call, SEEN)
    assert fix in str(caught.value)
    assert isinstance(caught.value, ArgumentError | CallError | TypeError | ValueError)


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("cr.float16", "cr.float32"),
        ("cr.half", "cr.float32"),
        ("cr.complex64", "no complex numbers"),
        ("cr.amp", "cr.autocast(dtype=cr.bfloat16)"),
        ("cr.cuda.amp", "leave it out"),
        ("cr.cuda.FloatTensor", "leave it out"),
        ("cr.GradScaler", "loss.backward()"),
        ("cr.jit.script", "cr.compile(function)"),
        ("cr.onnx", "cr.save"),
        ("cr.multiprocessing", "num_workers"),
        ("cr.distributed", 'devices="all"'),
        ("cr.channels_last", "does not show"),
        ("cr.backends.cudnnn", "did you mean backends.cudnn?"),
        ("cr.utils.tensorboard", "trainer.fit"),
        ("cr.utils.data.DataLoaderr", "did you mean utils.data.DataLoader?"),
        ("cr.utils.data.DistributedSampler", "every process has all rows"),
        ("nn.parallel", "the model itself"),
        ("nn.DataParallel", "the model itself"),
        ("nn.modules", "nn itself"),
        ("nn.Lineer", "did you mean nn.Linear?"),
        ("nn.init.xavier_unifrom_", "did you mean nn.init.xavier_uniform_?"),
        ("nn.utils.clip_grad_norm", "did you mean nn.utils.clip_grad_norm_?"),
        ("F.crossentropy", "did you mean F.cross_entropy?"),
        ("optim.Adamw", "did you mean optim.AdamW?"),
        ("optim.lr_scheduler.StepLr", "did you mean optim.lr_scheduler.StepLR?"),
        ("X.half", "x.float()"),
        ("X.half", "x.bfloat16()"),
        ("X.detach_", "x = x.detach()"),
        ("MODEL.half", "model.float()"),
    ],
)
def test_names(name: str, fix: str) -> None:
    with pytest.raises(MissingAttributeError) as caught:
        eval(name, SEEN)
    assert fix in str(caught.value)


@pytest.mark.parametrize(
    "module",
    ["multiprocessing", "utils.tensorboard", "cuda.amp", "nn.parallel", "fx", "onnx"],
)
def test_modules_that_are_not_there_are_named(module: str) -> None:
    """Python's own error: an import statement leaves no place for a hint."""
    with pytest.raises(ModuleNotFoundError, match=f"'chainrule.{re.escape(module)}'"):
        importlib.import_module(f"chainrule.{module}")


def test_a_scheduler_that_is_stepped_before_the_optimiser() -> None:
    optimizer = optim.SGD(MODEL.parameters(), lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=1)
    with pytest.warns(UserWarning, match="stepped before the optimiser") as warned:
        scheduler.step()
    assert "optimizer.step(), and scheduler.step() after it" in str(warned[0].message)


def keywords() -> Iterator[tuple[str, Any, set[str]]]:
    """Yield names of PyTorch that are here, with the keywords that they have there."""
    parts = ["nn", "nn.functional", "nn.init", "optim", "optim.lr_scheduler"]
    for part in ["", *parts, "utils.data"]:
        theirs, ours = torch, cr
        for name in filter(None, part.split(".")):
            theirs, ours = getattr(theirs, name), getattr(ours, name)
        for name in dir(theirs):
            item = getattr(theirs, name)
            if name.startswith("_") or not callable(item) or not hasattr(ours, name):
                continue
            try:
                known = {
                    p.name
                    for p in inspect.signature(item).parameters.values()
                    if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
                }
            except (ValueError, TypeError):
                head = re.match(rf"\s*{name}\((.*?)\)", item.__doc__ or "")
                known = set(re.findall(r"(\w+)=", head[1] if head else ""))
            yield f"{part}.{name}".strip("."), getattr(ours, name), known


#: Keywords without a hint, by the reason.
PLAIN = {
    "PyTorch's own, which begin with _": "_stacklevel _weight _freeze",
    "first arguments, which are passed by position": """
        a b data ext_tensor f input m model obj orig_func tensor""",
    "of PyTorch's compiler": "disable isolate_recompiles mode name recompile_limit",
    "functions and states of a loop, by position": "body_fn carried_inputs cond_fn",
    "faster ways in PyTorch, of the same numbers": """
        _disable_byteorder_record enable_nested_tensor mask_check sparse_grad""",
    "the result can be converted, or be asked for a derivative": "dtype requires_grad",
}


def test_every_keyword_of_pytorch_has_a_hint() -> None:
    from chainrule.util.pytorch_hints import KEYWORDS

    left = {word for words in PLAIN.values() for word in words.split()}
    without: dict[str, set[str]] = {}
    for name, ours, theirs in keywords():
        try:
            parameters = inspect.signature(ours).parameters
        except (ValueError, TypeError):
            continue
        if any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
            continue
        for word in theirs - parameters.keys() - KEYWORDS.keys() - left:
            if nearest(word, parameters) is None:
                without.setdefault(word, set()).add(name)
    assert not without, {word: sorted(names)[:4] for word, names in without.items()}
