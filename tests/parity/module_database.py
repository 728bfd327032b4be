"""PyTorch's database of modules, held against the modules of the same names.

``torch.testing`` has for each of its modules arguments of the constructor and inputs
(ModuleInfo). Each is built here and there with the same state, and called: outputs,
derivatives of the inputs and of the parameters, eager and compiled on both engines,
in training and in prediction where these differ.

    python -m tests.parity.module_database Linear Conv3d    # some modules
    python -m tests.parity.module_database                  # all, as a table
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

import chainrule as cr
from chainrule import nn
from tests.parity.sample_databases import (
    Report,
    UnknownError,
    compare,
    converted,
    filled,
    flat,
    gradients,
    is_tensor,
    through_log_softmax,
)
from tests.ways import ENGINES


@functools.cache
def database() -> dict[str, Any]:
    """PyTorch's modules with their samples, by the class's name."""
    # Takes seconds, and so not where this module is imported.
    from torch.testing._internal.common_modules import module_db

    return {info.name.removeprefix("nn."): info for info in module_db}


def ours(item: Any) -> Any:
    """A constructor's argument as Chainrule has it, modules and functions too."""
    if isinstance(item, torch.nn.TransformerEncoderLayer):
        attention = item.self_attn
        return nn.TransformerEncoderLayer(
            attention.embed_dim,
            attention.num_heads,
            item.linear1.out_features,
            item.dropout.p,
            item.activation.__name__,
            item.norm1.eps,
            attention.batch_first,
            item.norm_first,
            bias=item.linear1.bias is not None,
        )
    if isinstance(item, torch.nn.Module):
        raise UnknownError(type(item).__name__)
    if callable(item) and hasattr(item, "__name__"):
        return getattr(nn.functional, item.__name__, None) or getattr(cr, item.__name__)
    return converted(item)


class ModuleCheck:
    """The comparison of one module's samples.

    Args:
        name: of the module.
        compiled: how many samples of each dtype are compiled, on both engines.
    """

    def __init__(self, name: str, compiled: int = 2) -> None:
        self.info, self.compiled = database()[name], compiled
        self.kind = getattr(nn, name)
        self.report = Report(name)

    def run(self) -> Report:
        differs = self.info.train_and_eval_differ
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for dtype in (torch.float64, torch.float32):
                if dtype in self.info.supported_dtypes("cpu"):
                    for training in (True, False) if differs else (True,):
                        self.samples(dtype, training)
        return self.report

    def samples(self, dtype: torch.dtype, training: bool) -> None:
        torch.manual_seed(0)
        made = self.info.module_inputs_func(
            self.info, "cpu", dtype, dtype is torch.float64, training
        )
        for i, sample in enumerate(made):
            label = f"{sample.desc or i}, {str(dtype)[6:]}"
            label += "" if training else ", eval"
            try:
                self.sample(label, sample, dtype, training, i < self.compiled)
            except UnknownError as error:
                self.report.counts[f"unknown here: {error}"] += 1

    def sample(
        self, label: str, sample: Any, dtype: Any, training: bool, compiled: bool
    ) -> None:
        given, inputs = sample.constructor_input, sample.forward_input
        their = self.info.module_cls(*given.args, **given.kwargs)
        their = their.to(dtype).train(training)
        if inputs is None:
            return
        leaves: list[Any] = []
        args = converted(inputs.args, leaves)
        kwargs = converted(inputs.kwargs, leaves)
        if not args and "input" in kwargs:  # x here, the first one
            args = (kwargs.pop("input"),)
        options = {key: ours(item) for key, item in given.kwargs.items()}
        positional = [ours(item) for item in given.args]

        def build() -> Any:
            if self.info.is_lazy:  # converted, they would need their parameters
                module = self.kind(*positional, **options, dtype=str(dtype)[6:])
                return module.train(training)
            module = self.kind(*positional, **options)
            return module.to(str(dtype)[6:]).train(training)

        found = self.attempt(label, build)
        if found is None:
            return
        mine = found[0]
        if self.info.is_lazy:
            their(*inputs.args, **inputs.kwargs)
            mine(*args, **kwargs)
        state = {key: t.numpy() for key, t in their.state_dict().items()}
        if self.attempt(f"state of {label}", lambda: mine.load_state_dict(state)):
            theirs = their(*inputs.args, **inputs.kwargs)
            result = self.attempt(label, lambda: mine(*args, **kwargs))
            if result is None or self.differs(label, result[0], theirs):
                return
            self.report.counts["ok"] += 1
            self.derivatives(label, mine, their, result[0], theirs, leaves)
            if compiled:
                mine.load_state_dict(state)
                self.engines(label, mine, args, kwargs, theirs)

    def differs(self, label: str, mine: Any, theirs: Any) -> bool:
        difference = compare(mine, theirs)
        if difference:
            self.report.wrong.append(f"({label}): {difference}")
            self.report.counts["wrong"] += 1
        return bool(difference)

    def attempt(self, label: str, call: Callable[[], Any]) -> tuple[Any] | None:
        try:
            return (call(),)
        except cr.ChainruleError as error:
            self.report.refused.append(f"({label}): {str(error).splitlines()[0]}")
            self.report.counts["refused"] += 1
        except Exception as error:
            text = f"({label}): {type(error).__name__}: {error!s:.90}"
            self.report.crashed.append(text)
            self.report.counts["crashed"] += 1
        return None

    def derivatives(
        self, label: str, mine: Any, their: Any, result: Any, theirs: Any, leaves: Any
    ) -> None:
        """Those of a weighted sum of the outputs, by inputs and by parameters."""
        own = dict(mine.named_parameters())
        pairs = [(t, m) for t, m in leaves if t.requires_grad]
        pairs += [(t, own[name]) for name, t in their.named_parameters()]
        rng = np.random.default_rng(0)
        weights: dict[int, Any] = {}

        def factors(part: Any, i: int) -> Any:
            array = weights.setdefault(i, rng.normal(size=tuple(part.shape)))
            if isinstance(part, torch.Tensor):
                return torch.tensor(array, dtype=part.dtype)
            return cr.tensor(array, dtype=part.dtype)

        def grad_there(total: Any, wrt: list[Any]) -> Any:
            return torch.autograd.grad(total, wrt, allow_unused=True)

        def grad_here(total: Any, wrt: list[Any]) -> Any:
            for t in wrt:
                t.grad = None
            total.backward()
            return [t.grad for t in wrt]

        there = gradients(theirs, [t for t, __ in pairs], grad_there, factors)
        if not pairs or there is None:
            return
        wrt = [m for __, m in pairs]
        found = self.attempt(
            f"derivative of {label}",
            lambda: gradients(result, wrt, grad_here, factors),
        )
        if found is None:
            return
        there = [
            torch.zeros_like(t) if g is None else g
            for g, (t, __) in zip(there, pairs, strict=True)
        ]
        here = [
            cr.zeros_like(m) if g is None else g
            for g, (__, m) in zip(found[0] or [None] * len(pairs), pairs, strict=True)
        ]
        if self.report.name == "CTCLoss":
            t, m = pairs[0]
            there[0] = torch.tensor(through_log_softmax(t, there[0]))
            here[0] = cr.tensor(through_log_softmax(m, here[0]))
        if not self.differs(f"derivative of {label}", here, there):
            self.report.counts["derivatives"] += 1

    def engines(
        self, label: str, mine: Any, args: Any, kwargs: Any, theirs: Any
    ) -> None:
        """Outputs and derivatives by the parameters, in one compiled function."""
        parameters = list(mine.parameters())
        state = {key: np.array(a) for key, a in mine.state_dict().items()}
        tensors = [t for t in flat((args, tuple(kwargs.values()))) if is_tensor(t)]
        tensors = [t.detach() for t in tensors]

        def step(*given: cr.Tensor) -> Any:
            of = iter(given)
            y = mine(*filled(args, of), **filled(kwargs, of))
            mine.zero_grad()
            parts = [part for part in flat(y) if part.requires_grad]
            if parts:
                sum((part * part).sum() for part in parts).backward()
            return y, [p.grad for p in parameters if p.grad is not None]

        mine.zero_grad()
        wanted = self.attempt(label, lambda: step(*tensors))
        for engine in ENGINES if wanted else ():
            mine.load_state_dict(state)
            mine.zero_grad()
            run = cr.compile(step, engine=engine)
            found = self.attempt(f"{engine}: {label}", lambda r=run: r(*tensors))
            if found is None or self.differs(f"{engine} {label}", found[0][0], theirs):
                continue
            here, there = flat(found[0][1]), flat(wanted[0][1])
            off = [
                float(abs(a - b).max().item())
                for a, b in zip(here, there, strict=True)
                if not np.allclose(a.numpy(), b.numpy(), 1e-4, 1e-4, equal_nan=True)
            ]
            if off:
                self.report.wrong.append(f"{engine} derivative ({label}): by {off[:3]}")
            self.report.counts["wrong" if off else engine] += 1


def offered() -> Iterator[str]:
    """The names of modules that exist here too."""
    yield from (name for name in sorted(database()) if name in nn.__all__)


def main(names: list[str]) -> None:
    for name in names or offered():
        print(ModuleCheck(name).run(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
