"""Compilation of several functions over the same tensors, such as a train step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chainrule.compilation.guards.guards import Guards
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.engines import EngineName
from chainrule.engines.spread import Axes, Devices
from chainrule.errors import ArgumentError
from chainrule.graph.text_reader import parse_type
from chainrule.nn import Module
from chainrule.optim import RuleOptimizer
from chainrule.text import _


def compile_program(
    functions: Mapping[str, Callable[..., Any]],
    inputs: Mapping[str, str],
    *,
    model: Module | None = None,
    optimizers: Iterable[RuleOptimizer] = (),
    each: Iterable[str] = (),
    engine: EngineName = "auto",
    threads: int | None = None,
    devices: Devices | None = None,
    mesh: Mapping[str, int] | None = None,
    sharding: Mapping[str, Axes] | None = None,
) -> CompiledProgram:
    """Compile several functions that share tensors into one program.

    Each function is an entry point, with a graph of its own. What they read and write
    outside of their arguments (parameters, moments, buffers) is the program's state;
    :class:`Loop` runs the entry points and saves the state.

    Args:
        functions: by the name of their entry points; each returns a tensor, or a
            dictionary of them.
        inputs: the type of every argument, by the argument's name, as graphs print
            types: ``"f32[64,784]"``, ``"u8[N,28,28]"``, ``"i64[]"``.
        model: what their tensors are called: the module that they belong to.
        optimizers: those that the functions step; their moments are called after the
            model's parameters.
        each: the inputs of which a run of many steps has a row for each of them.
        engine, threads, devices, mesh, sharding: as for :func:`chainrule.compile`.
            The batch is the first named size of an entry point's inputs, as in
            ``"f32[N,784]"``; axes of other sizes, and of numbers, are not divided.

    Raises:
        ArgumentError: an argument without a type, or a type that no function takes; a
            function that changes what is outside, draws random numbers that are not
            part of the graph, or reads a clock: as in :func:`chainrule.compile`.
        ParseError: a type that is written otherwise.

    >>> import chainrule as cr
    >>> network = cr.nn.Linear(2, 1)
    >>> sgd = cr.optim.SGD(network.parameters(), lr=0.1)
    >>> def act(x):
    ...     return {"worth": network(x)}
    >>> def learn(x, target):
    ...     loss = ((network(x) - target) ** 2).mean()
    ...     network.zero_grad()
    ...     loss.backward()
    ...     sgd.step()
    ...     return {"loss": loss}
    >>> program = compile_program(
    ...     {"act": act, "learn": learn},
    ...     {"x": "f32[N,2]", "target": "f32[N,1]"},
    ...     model=network,
    ...     optimizers=[sgd],
    ... )
    >>> x, target = cr.ones(3, 2).numpy(), cr.zeros(3, 1).numpy()
    >>> for _ in range(50):
    ...     made = program.run("learn", {"x": x, "target": target})
    >>> abs(program.run("act", {"x": x})["worth"]).max() < 0.01
    np.True_
    """
    types = {name: parse_type(text) for name, text in inputs.items()}
    marked = set(each)
    names = {} if model is None else {id(t): n for n, t in model.named_tensors()}
    for optimizer in optimizers:
        if model is not None:
            optimizer.attach_parameters(model.named_parameters())
    traced, taken = [], set[str]()
    for entry, function in functions.items():
        parameters = list(inspect.signature(function).parameters)
        if unknown := [name for name in parameters if name not in types]:
            raise ArgumentError(
                _(
                    "{entry} takes {unknown}, whose type is not known.",
                    entry=entry,
                    unknown=", ".join(unknown),
                ),
                expected=_("inputs= with a type for every argument"),
                got=", ".join(types) or _("none"),
                fix=f'inputs={{"{unknown[0]}": "f32[…]", …}}',
            )
        taken |= {*parameters}
        entry_inputs = [
            Input(name, types[name], each=name in marked) for name in parameters
        ]
        guards = Guards(function)
        with guards.watching():
            traced.append(trace_entry(entry, function, entry_inputs, names))
        guards.refuse_changes(entry)
    if unused := [name for name in (*types, *marked) if name not in taken]:
        raise ArgumentError(
            _("No function takes {unused!r}.", unused=unused[0]),
            expected=_("arguments of {functions}", functions=", ".join(functions)),
            got=", ".join(unused),
        )
    over = {"devices": devices, "mesh": mesh, "sharding": sharding}
    return CompiledProgram(traced, engine=engine, threads=threads, **over)
