"""PyTorch's databases of samples, held against the functions of the same names.

``torch.testing`` has for each of its functions a list of sample inputs, written by its
authors to test it (OpInfo). Each sample is called here and there: values, dtypes and
shapes, first and second derivatives, eager and compiled on both engines. What PyTorch
refuses (its error inputs) is refused here too.

    python -m tests.parity.sample_databases addcmul linalg.inv     # some names
    python -m tests.parity.sample_databases                        # all, as a table
    python -m tests.parity.sample_databases --compiled 1000000     # every sample

The last line has the sums. Samples of one dtype are compiled, float64 if it is there.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import torch

import chainrule as cr
from chainrule.errors import ChainruleError
from chainrule.graph.types import as_dtype
from tests.ways import ENGINES

#: PyTorch's dtypes that exist here.
DTYPES = {
    torch.float64: "float64",
    torch.float32: "float32",
    torch.bfloat16: "bfloat16",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.uint8: "uint8",
    torch.int8: "int8",
    torch.int16: "int16",
    torch.bool: "bool",
}
#: The dtypes in which the samples are made.
SAMPLED = (torch.float64, torch.float32, torch.int64, torch.bool)
#: Those of functions of complex signals, which are pairs of real numbers here.
SAMPLED_PAIRS = (torch.complex128, torch.complex64)
OF_PAIRS = re.compile(r"fft\.(i?fft|irfft).?|istft")
#: Functions that give such pairs.
TO_PAIRS = re.compile(r"fft\.(i?fft|rfft).?|stft")
#: |ours − theirs| ≤ these, times the larger of 1 and |theirs|.
TOLERANCES = {"float64": 1e-9, "float32": 1e-4}

#: Variants of names that are left out, by the reason.
VARIANTS = {
    "grad_oriented": "a part of the results of lstsq",
    "singular": "pinv of a product of two arguments",
    "subgradients_at_zero": "norms of 0 with p < 0, whose derivative is NaN here",
}
#: Where PyTorch itself is off by more; tests/test_special_functions.py has 40 digits.
INEXACT = dict.fromkeys(
    [f"special.bessel_{name}" for name in ("j0", "j1", "y0", "y1")], 1e-6
)
#: What the database calls with its arguments in another order.
REORDERED: dict[str, Callable[..., Any]] = {
    "einsum": lambda operands, equation: cr.einsum(equation, *operands),
    "stft": lambda *args, return_complex, **kwargs: cr.stft(*args, **kwargs),
    "polygamma": lambda x, n: cr.polygamma(n, x),
    "special.polygamma": lambda x, n: cr.special.polygamma(n, x),
}


#: Why samples are refused, by what our error or PyTorch's begins with.
REFUSED = {
    "GaussianNLLLoss takes tensors of one shape": "means of another shape",
    "svd: columns beyond": "what the matrix does not determine has no derivative",
    "needs a weight for each": "weights below 0, with which a loss has no minimum",
    "takes the labels -1 and 1": "other labels have no meaning in the formula",
    "drops whole channels": "there are no channels in fewer axes",
    "grid_sample reads images at places": "images have two axes",
    "has no such choice": "bicubic sampling and reflection are not there",
    "takes rows of probabilities": "numbers that are no probabilities",
    "takes probabilities": "numbers that are no probabilities",
    "Sums and products of integers": "a fraction of an integer is no integer",
    "pad needs more elements": "nothing is left that could be repeated",
    "Embedding does not scale a gradient of rows": "rows alone are not counted",
    "needs a finite eps": "a negative eps is a mistake",
    "needs a finite momentum": "a negative momentum is a mistake",
    "BatchNorm normalises features": "there are no samples in one axis",
    "Random numbers are drawn in a shape": "the samples are those of the method",
    "mean and std do not fit the size": "the samples are those of the method",
    "normal draws numbers": "drawn numbers have no derivative",
    "A norm is named by its order": "nuclear norms are in linalg.matrix_norm",
    "A leaf cannot be changed in place": "a leaf's use is recorded",
    "needs a finite lambd": "a negative threshold is a mistake",
    "in place, which would not reach": "compiled, arguments are not changed",
    "is known only at the run": "a shape that depends on the numbers",
    "This tensor has no numbers yet": "compiled, a degree or a count decides",
    "sections must be a whole number": "compiled, places decide about shapes",
    "needs a positive margin": "a negative margin is a mistake",
    "takes one row of scores": "a lone number is no row of scores",
    "would change places": "the last axis, of length 2, may be that of pairs",
    "takes one label a row": "a row has one label, of shape ()",
}
#: Why error inputs are taken, by PyTorch's message.
ACCEPTED = {
    "": "numbers do where tensors do, as in the array API standard",
    "upper bound and lower bound": "a range without numbers is empty, as in NumPy",
    "should be the same": "dtypes are promoted",
    "Expected self.dtype to be equal": "dtypes are promoted",
    "Expected 2D or 3D": "a pooled image without channels has none",
    "Expected input\\'s non-batch": "a pooled image without channels has none",
    "mean\\(\\): could not infer": "the mean of integers is a float, as in NumPy",
}


@functools.cache
def database() -> dict[str, list[Any]]:
    """The variants of each name, such as ``max`` of a tensor, along an axis, of two."""
    # Takes seconds, and so not where this module is imported.
    from torch.testing._internal.common_methods_invocations import op_db

    found: dict[str, list[Any]] = {}
    for op in op_db:
        if op.variant_test_name not in VARIANTS:
            found.setdefault(op.name, []).append(op)
    return found


class UnknownError(Exception):
    """A sample with something that has no counterpart: complex numbers, float16, …"""


#: What OpInfo calls as a method: ``x.where(condition, other)``.
METHODS = {"where"}
#: Whose numbers are undefined.
UNDEFINED = {"empty", "empty_like", "new_empty", "empty_permuted"}
#: Whose indices may be those of other equal elements: where their argument ``dim`` is.
TIES = {"argsort": 0, "kthvalue": 1, "median": 0, "mode": 0, "nanmedian": 0}
TIES |= {"sort": 0, "topk": 1}
#: Derivatives that PyTorch computes in float64 with a 1/6 of float32.
ROUNDED = {"nn.functional.hardsigmoid": 1e-7}
#: Functions whose first two arguments the database has the other way round.
TURNED = ("nn.functional.embedding", "nn.functional.embedding_bag")


def ours(name: str) -> Callable[..., Any] | None:
    """The function of the same name, or the method."""
    if name in REORDERED:
        return REORDERED[name]
    target: Any = cr
    for part in name.split("."):
        target = getattr(target, part, None)
        if target is None:
            break
    if name in METHODS or (not callable(target) and "." not in name):
        target = getattr(cr.Tensor, name, None)
    if name in TURNED:
        return lambda x, y, *args, **kwargs: target(y, x, *args, **kwargs)
    return target if callable(target) else None


def real(result: Any) -> Any:
    """A result of PyTorch's with pairs of real numbers for complex ones."""
    if isinstance(result, torch.Tensor) and result.is_complex():
        return torch.view_as_real(result.resolve_conj())
    return [*map(real, result)] if isinstance(result, tuple | list) else result


def converted(
    item: Any, leaves: list[Any] | None = None, *, pairs: bool = False
) -> Any:
    """A sample's argument as Chainrule has it; its tensors are put into ``leaves``.

    ``pairs``: whether complex numbers are pairs of real ones.
    """
    if isinstance(item, torch.Tensor):
        if pairs and item.is_complex():
            made = converted(real(item.detach()))
            made.requires_grad = item.requires_grad
            if leaves is not None:
                leaves.append((item, made))
            return made
        if item.ndim > 64:  # NumPy's limit
            raise UnknownError(f"{item.ndim} axes")
        if item.device.type != "cpu":
            raise UnknownError(str(item.device))
        if item.dtype not in DTYPES or item.layout is not torch.strided:
            raise UnknownError(f"{item.dtype} {item.layout}")
        held = item.detach().resolve_conj()
        if narrow := held.dtype is torch.bfloat16:
            held = held.float()
        made = cr.tensor(np.array(held.numpy()), requires_grad=item.requires_grad)
        if narrow:
            made = made.detach().bfloat16().requires_grad_(item.requires_grad)
        if leaves is not None:
            leaves.append((item, made))
        return made
    if isinstance(item, torch.dtype):
        if item not in DTYPES:
            raise UnknownError(str(item))
        return as_dtype(DTYPES[item])
    if isinstance(item, torch.device):
        return cr.device(str(item))
    if isinstance(item, torch.layout | torch.memory_format | torch.Generator | complex):
        raise UnknownError(str(item))
    if isinstance(item, torch.nn.Module) and hasattr(cr.nn, type(item).__name__):
        return getattr(cr.nn, type(item).__name__)()
    if callable(item):  # of PyTorch's tensors
        raise UnknownError("a function")
    if isinstance(item, torch.Size):
        return tuple(item)
    if isinstance(item, tuple | list):
        made = [converted(part, leaves, pairs=pairs) for part in item]
        named = hasattr(item, "_fields")
        return type(item)(*made) if named else type(item)(made)
    if isinstance(item, dict):
        return {key: converted(part, leaves, pairs=pairs) for key, part in item.items()}
    return item


def flat(result: Any) -> list[Any]:
    """The tensors and numbers in a result."""
    if isinstance(result, tuple | list):
        return [part for item in result for part in flat(item)]
    return [result]


def through_log_softmax(x: Any, gradient: Any) -> Any:
    """The derivative by the scores whose log-softmax is x, as an array.

    PyTorch's derivative of the CTC loss is right after it alone.
    """
    p, g = np.exp(x.detach().numpy()), gradient.detach().numpy()
    return g - p * g.sum(-1, keepdims=True)


def is_tensor(item: Any) -> bool:
    return isinstance(item, cr.Tensor)


def filled(item: Any, tensors: Iterator[cr.Tensor]) -> Any:
    """A nest with other tensors in place of its own, in order."""
    if isinstance(item, cr.Tensor):
        return next(tensors)
    if isinstance(item, dict):
        return {key: filled(part, tensors) for key, part in item.items()}
    if isinstance(item, tuple | list):
        made = [filled(part, tensors) for part in item]
        return type(item)(*made) if hasattr(item, "_fields") else type(item)(made)
    return item


def compare(
    ours: Any,
    theirs: Any,
    *,
    single: bool = False,
    values: bool = True,
    least: float = 0.0,
) -> str:
    """Where two results differ; empty if they agree.

    Args:
        ours, theirs: tensors, numbers, sequences of them.
        single: whether an argument is float32, in which PyTorch may compute then.
        values: whether numbers are compared, and not shapes and dtypes alone.
        least: the bound at least, where PyTorch is off by more.
    """
    mine, other = flat(ours), flat(theirs)
    if len(mine) != len(other):
        return f"{len(mine)} results for {len(other)}"
    for a, b in zip(mine, other, strict=True):
        if not isinstance(b, torch.Tensor):
            if isinstance(a, cr.Tensor):
                return f"a tensor for {b!r:.40}"
            if isinstance(b, torch.dtype | torch.device):
                continue
            if a != b and not (a != a and b != b):
                return f"{a!r:.40} for {b!r:.40}"
            continue
        if b.dtype not in DTYPES:
            return f"another dtype: {b.dtype}"
        if not isinstance(a, cr.Tensor):
            return f"{type(a).__name__} for a tensor"
        if b.dtype is torch.bfloat16:  # NumPy does not have it
            if a.dtype.name != "bfloat16":
                return f"dtype {a.dtype} for {b.dtype}"
            a, b = a.float(), b.float()
        x, y = a.detach().numpy(), b.numpy(force=True)
        if x.shape != y.shape:
            return f"shape {x.shape} for {y.shape}"
        if x.dtype != y.dtype:
            return f"dtype {x.dtype} for {y.dtype}"
        if not values:
            continue
        if x.dtype.kind != "f" and y.dtype.kind != "f":
            if not np.array_equal(x, y):
                return f"values {x.ravel()[:4]} for {y.ravel()[:4]}"
            continue
        bound = max(TOLERANCES["float32" if single else y.dtype.name], least)
        if not np.allclose(x, y, rtol=bound, atol=bound, equal_nan=True):
            off = ~np.isclose(x, y, rtol=bound, atol=bound, equal_nan=True)
            return f"values {x[off].ravel()[:3]} for {y[off].ravel()[:3]}"
    return ""


def _with_signs(vectors: Any, *others: Any) -> tuple[Any, ...]:
    """Column vectors, and rows that go with them, with a sign of its own for each.

    The largest element of each column is positive: a decomposition leaves it open.
    """
    lone = vectors.detach()
    if not lone.shape[-2] or not lone.shape[-1]:
        return (vectors, *others)
    at = abs(lone).argmax(-2)[..., None, :]
    if isinstance(lone, torch.Tensor):
        signs = torch.take_along_dim(lone, at, -2).sign()
    else:
        signs = cr.Tensor.take_along_dim(lone, at, -2).sign()
    return (vectors * signs, *(part * signs.mT for part in others))


def _of_svd(result: Any) -> Any:
    u, s, v = result
    k, rows = s.shape[-1], type(result).__name__ in ("SVD", "linalg_svd")
    v = v if rows else v.mT
    first = _with_signs(u[..., :k], v[..., :k, :])
    more = u[..., k:], v[..., k:, :]  # of which the space is determined, not the basis
    return (*first, s, more[0] @ more[0].mT, more[1].mT @ more[1])


#: What a decomposition leaves open, taken out of results before they are compared.
DETERMINED: dict[str, Callable[[Any], Any]] = {
    "linalg.svd": _of_svd,
    "svd": _of_svd,
    "matrix_exp": lambda y: y / y.detach().norm() if y.numel() else y,
    "linalg.eigh": lambda result: (result[0], *_with_signs(result[1])),
}


#: Arguments, by position, of which one triangle is read; the upper if upper=True.
READ = {"cholesky_solve": 1, "cholesky_inverse": 0}


@dataclass
class Report:
    """What came of one name's samples.

    Attributes:
        name: of the function.
        counts: of samples that agree (``ok``), that are refused by an error of ours,
            that are of something that does not exist here, …
        wrong: where a result differs.
        crashed: where an error is not one of ours.
        refused: messages of our errors, where PyTorch has a result.
    """

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def unexplained(self) -> list[str]:
        """What is refused, or taken though PyTorch refuses it, for no known reason."""
        found = []
        for text in dict.fromkeys(self.refused):
            if text.startswith("accepted"):
                regex = text.partition("; PyTorch: ")[2]
                known = any(regex.startswith(start) for start in ACCEPTED if start)
                known = known or not regex
            else:
                known = any(part in text for part in REFUSED)
            if not known:
                found.append(text)
        return found

    def __str__(self) -> str:
        lines = [
            f"{self.name}: " + ", ".join(f"{k} {n}" for k, n in self.counts.items())
        ]
        for kind in ("wrong", "crashed", "refused"):
            found = dict.fromkeys(getattr(self, kind))
            lines += [f"    {kind}: {text}" for text in list(found)[:6]]
        return "\n".join(lines)


def shown(sample: Any) -> str:
    def short(item: Any) -> str:
        if isinstance(item, torch.Tensor):
            return f"{str(item.dtype)[6:]}{list(item.shape)}"
        if isinstance(item, tuple | list):
            return f"({', '.join(map(short, item))})"
        return f"{item!r:.30}"

    named = [f"{key}={short(item)}" for key, item in sample.kwargs.items()]
    return ", ".join([short(sample.input), *map(short, sample.args), *named])


def chosen(name: str, result: Any, sample: Any) -> Any:
    """A result with indices along an axis replaced by the elements that are there."""
    *values, last = flat(result)
    x, at = sample.input.detach(), TIES[name]
    if not x.ndim or not (values or name == "argsort"):
        return result
    dim = sample.kwargs.get("dim", (*sample.args, *[-1] * 3)[at])
    index = last if isinstance(last, torch.Tensor) else torch.tensor(last.numpy())
    index = index if index.ndim == x.ndim else index.unsqueeze(dim)
    distinct = (index.sort(dim).values.diff(dim=dim) > 0).all()
    found = [x.take_along_dim(index, dim), distinct]
    return [
        *values,
        *(found if isinstance(last, torch.Tensor) else map(cr.tensor, found)),
    ]


def gradients(result: Any, wrt: list[Any], grad: Callable[..., Any], ones: Any) -> Any:
    """Derivatives of a weighted sum of a result's floats."""
    total = None
    for i, part in enumerate(flat(result)):
        if getattr(part, "requires_grad", False):
            term = (part * ones(part, i)).sum()
            total = term if total is None else total + term
    return None if total is None else grad(total, wrt)


class Check:
    """The comparison of one function's samples.

    Args:
        name: of the function, as OpInfo has it.
        compiled: how many samples of a variant are compiled, on both engines; in one
            dtype, float64 where there is one.
    """

    def __init__(self, name: str, compiled: int = 2) -> None:
        self.op, self.compiled = database()[name][0], compiled
        self.determined = DETERMINED.get(name, lambda result: result)
        determined, function = self.determined, ours(name)
        # No closure over self: compiled code is guarded by all that it may reach, and
        # the database is some 200,000 objects.
        self.function = lambda *a, **k: determined(function(*a, **k))
        self.least = INEXACT.get(name, 0)
        self.of_pairs = OF_PAIRS.fullmatch(name) is not None
        self.to_pairs = TO_PAIRS.fullmatch(name) is not None
        self.report = Report(name)

    def run(self) -> Report:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for variant in database()[self.report.name]:
                self.op = variant
                sampled = SAMPLED_PAIRS if self.of_pairs else SAMPLED
                dtypes = [d for d in sampled if self.op.supports_dtype(d, "cpu")]
                for i, dtype in enumerate(dtypes):
                    self.samples(dtype, 0 if i else self.compiled)
                self.errors()
        return self.report

    def samples(self, dtype: torch.dtype, compiled: int) -> None:
        double = dtype in (torch.float64, torch.complex128)
        derived = double and self.op.supports_autograd
        try:
            made = list(self.op.sample_inputs("cpu", dtype, requires_grad=derived))
        except Exception as error:
            self.report.counts[f"no samples: {error!r:.60}"] += 1
            return
        for i, sample in enumerate(made):
            self.sample(sample, derived, i < compiled)

    def sample(self, sample: Any, derived: bool, compiled: bool) -> None:
        label = shown(sample)
        try:
            theirs = self.op(sample.input, *sample.args, **sample.kwargs)
            theirs = self.determined(real(theirs) if self.to_pairs else theirs)
        except Exception:
            self.report.counts["refused by PyTorch"] += 1
            return
        if any(isinstance(t, torch.Tensor) and t.is_complex() for t in flat(theirs)):
            self.report.counts["complex"] += 1
            return
        leaves: list[Any] = []
        try:
            given = (sample.input, *sample.args)
            args = converted(given, leaves, pairs=self.of_pairs)
            kwargs = converted(sample.kwargs, leaves, pairs=self.of_pairs)
        except UnknownError:
            self.report.counts["unknown here"] += 1
            return
        self.single = any(m.dtype is cr.float32 for __, m in leaves)
        found = self.attempt(label, lambda: self.function(*args, **kwargs))
        if found is None:
            return
        difference = self.difference(found[0], theirs, sample)
        if difference and self.draws(sample):
            difference = compare(found[0], theirs, values=False)
            if not difference:
                self.report.counts["drawn"] += 1
                return
        if difference:
            self.report.wrong.append(f"({label}): {difference}")
            self.report.counts["wrong"] += 1
            return
        self.report.counts["ok"] += 1
        # Its samples are not symmetric, and PyTorch's derivative reads both triangles.
        if derived and not sample.kwargs.get("hermitian"):
            upper = bool(sample.kwargs.get("upper"))
            self.derivatives(label, found[0], theirs, leaves, upper)
        if compiled and any(isinstance(t, torch.Tensor) for t in flat(theirs)):
            self.engines(label, args, kwargs, theirs, sample)

    def difference(self, mine: Any, theirs: Any, sample: Any) -> str:
        """Where two results of a sample differ, but for what nothing defines."""
        name = self.report.name
        if name in UNDEFINED:
            mine, theirs = cr.zeros_like(mine), torch.zeros_like(theirs)
        if name in TIES:
            mine, theirs = (chosen(name, r, sample) for r in (mine, theirs))
        return compare(mine, theirs, single=self.single, least=self.least)

    def draws(self, sample: Any) -> bool:
        """Whether PyTorch draws the numbers; the database sets a seed, always one."""
        with mock.patch("torch.manual_seed"):
            first = self.op(sample.input, *sample.args, **sample.kwargs)
            for __ in range(3):
                torch.rand(1)
                again = self.op(sample.input, *sample.args, **sample.kwargs)
                pairs = zip(flat(first), flat(again), strict=True)
                if not all(torch.equal(a, b) for a, b in pairs):
                    return True
        return False

    def attempt(self, label: str, call: Callable[[], Any]) -> tuple[Any] | None:
        try:
            return (call(),)
        except ChainruleError as error:
            first = str(error).splitlines()[0]
            self.report.refused.append(f"({label}): {first}")
            self.report.counts["refused"] += 1
        except Exception as error:
            self.report.crashed.append(
                f"({label}): {type(error).__name__}: {error!s:.90}"
            )
            self.report.counts["crashed"] += 1
        return None

    def derivatives(
        self, label: str, mine: Any, theirs: Any, leaves: Any, upper: bool
    ) -> None:
        # A view of a complex window has no derivative of its own there.
        views = [self.of_pairs and t._is_view() for t, __ in leaves]
        pairs = [p for p, view in zip(leaves, views) if p[0].requires_grad and not view]
        rng = np.random.default_rng(0)
        weights: dict[int, Any] = {}

        def ones(part: Any, i: int) -> Any:
            if i not in weights:
                weights[i] = rng.normal(size=tuple(part.shape))
            array = weights[i]
            if isinstance(part, torch.Tensor):
                return torch.tensor(array, dtype=part.dtype)
            return cr.tensor(array, dtype=part.dtype)

        def grad_there(total: Any, wrt: list[Any]) -> Any:
            keep = {"create_graph": True, "allow_unused": True}
            return real(torch.autograd.grad(total, wrt, **keep))

        def grad_here(total: Any, wrt: list[Any]) -> Any:
            for t in wrt:
                t.grad = None
            total.backward(create_graph=True)
            return [t.grad for t in wrt]

        def zeros(parts: Any, like: list[Any], make: Any) -> Any:
            pairs = zip(parts, like, strict=True)
            return [make(t) if g is None else g for g, t in pairs]

        wrt_there, wrt_here = [t for t, __ in pairs], [m for __, m in pairs]
        if not pairs:
            return
        for order in ("first", "second"):
            if order == "second" and not self.op.supports_gradgrad:
                return
            try:
                there = gradients(theirs, wrt_there, grad_there, ones)
            except Exception:
                return
            found = self.attempt(
                f"{order} derivative of {label}",
                lambda m=mine: gradients(m, wrt_here, grad_here, ones),
            )
            if found is None or there is None:
                return
            here = found[0]
            if here is None:
                here = [None] * len(wrt_here)
            there = zeros(there, wrt_there, lambda t: real(torch.zeros_like(t)))
            if self.op.name in READ:  # PyTorch has numbers for the rest too
                place = READ[self.op.name]
                there[place] = (torch.triu if upper else torch.tril)(there[place])
            here = zeros(here, wrt_here, cr.zeros_like)
            if self.report.name == "nn.functional.ctc_loss":
                there[0] = torch.tensor(through_log_softmax(wrt_there[0], there[0]))
                here[0] = cr.tensor(through_log_softmax(wrt_here[0], here[0]))
            within = ROUNDED.get(self.report.name, 0.0)
            difference = compare(here, there, single=self.single, least=within)
            if difference:
                self.report.wrong.append(
                    f"{order} derivative of ({label}): {difference}"
                )
                self.report.counts["wrong"] += 1
                return
            self.report.counts[f"{order} derivatives"] += 1
            theirs, mine = there, here
            weights.clear()

    def engines(
        self, label: str, args: Any, kwargs: Any, theirs: Any, sample: Any
    ) -> None:
        tensors = [t for t in flat((args, tuple(kwargs.values()))) if is_tensor(t)]
        called = self.function

        def function(*given: cr.Tensor) -> Any:  # numbers are constants of the graph
            of = iter(given)
            return called(*filled(args, of), **filled(kwargs, of))

        for engine in ENGINES:
            run = cr.compile(function, engine=engine)
            found = self.attempt(f"{engine}: {label}", lambda r=run: r(*tensors))
            if found is None:
                continue
            difference = self.difference(found[0], theirs, sample)
            # A lone number may be drawn alike eagerly, and otherwise here.
            if difference and self.draws(sample):
                difference = compare(found[0], theirs, values=False)
            if difference:
                self.report.wrong.append(f"{engine} ({label}): {difference}")
            self.report.counts["wrong" if difference else engine] += 1

    def errors(self) -> None:
        if self.op.error_inputs_func is None:
            return
        for item in self.op.error_inputs("cpu"):
            sample = item.sample_input
            try:
                given = (sample.input, *sample.args)
                args = converted(given, pairs=self.of_pairs)
                kwargs = converted(sample.kwargs, pairs=self.of_pairs)
            except UnknownError:
                continue
            try:
                self.function(*args, **kwargs)
                self.report.counts["accepted errors"] += 1
                text = f"accepted ({shown(sample)}); PyTorch: {item.error_regex:.60}"
                self.report.refused.append(text)
            except ChainruleError:
                self.report.counts["errors refused"] += 1
            except Exception as error:
                text = f"({shown(sample)}): {type(error).__name__}: {error!s:.80}"
                self.report.crashed.append(f"error input {text}")
                self.report.counts["crashed"] += 1


def offered() -> Iterator[str]:
    """The names that exist here too."""
    for name in sorted(database()):
        if ours(name) is not None:
            yield name


def main(arguments: list[str]) -> None:
    """Print the reports of names, and the sums of what they count."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--compiled", type=int, default=2, help="samples of a variant")
    given = parser.parse_args(arguments)
    sums: Counter[str] = Counter()
    for name in given.names or offered():
        report = Check(name, given.compiled).run()
        sums += report.counts
        print(report, flush=True)
    print("\nall: " + ", ".join(f"{k} {n}" for k, n in sums.most_common()))


if __name__ == "__main__":
    main(sys.argv[1:])
