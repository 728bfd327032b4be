"""Random programs over optimisers: drawn, run eagerly, cut, and by the oracle.

A program calls a few functions several times: they take derivatives, make steps of one
or two optimisers, several in one call, read hyper-parameters, draw random numbers, and
are refused now and then. Between the calls hyper-parameters change, state is saved,
loaded, and carried over to new optimisers. It is run wholly eagerly, with each function
compiled or not as drawn and all built anew at random places, and in plain NumPy.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import optim
from chainrule.errors import ArgumentError, ChainruleError
from tests.optim.oracle import Array, Group, Oracle, rate

SHAPES = {"a": (3,), "b": (2, 2), "c": (), "d": (4,)}
KINDS = [k for k in optim.OPTIMIZERS if k not in ("LBFGS", "SparseAdam")]
#: Float64 rounds to 1e-16; steps that divide by small numbers multiply that.
CLOSE = 1e-7
#: What hyper-parameters may be; those of a kind that are not here stay as they are.
VALUES: dict[str, list[Any]] = {
    "alpha": [0.5, 0.9],
    "amsgrad": [False, True],
    "betas": [(0.9, 0.99), (0.5, 0.9), (0.0, 0.5)],
    "centered": [False, True],
    "dampening": [0.0, 0.25],
    "decoupled_weight_decay": [False, True],
    "eps": [0.1, 0.05],
    "l1_penalty": [None, 0.125],
    "lr_decay": [0.0, 0.125],
    "maximize": [False, False, True],
    "momentum": [0.0, 0.5, 0.9],
    "momentum_decay": [4e-3, 0.0],
    "nesterov": [False, False, True],
    "rho": [0.5, 0.9],
    "weight_decay": [0.0, 0.125],
}
LIMITS = {"clip_norm": [None, 0.25, 4.0], "clip_value": [None, 0.125, 1.0]}


@dataclass(frozen=True)
class Program:
    """What is built, the functions, how each runs, and what happens one by one."""

    seed: int
    optimizers: tuple[dict[str, Any], ...]
    functions: tuple[tuple[Any, ...], ...]
    ways: tuple[str, ...]
    events: tuple[tuple[Any, ...], ...]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}", *map(str, self.optimizers)]
        for i, (way, actions) in enumerate(zip(self.ways, self.functions)):
            lines += [f"function {i}, {way}:", *[f"    {a}" for a in actions]]
        return "\n".join([*lines, *map(str, self.events)])


# -- drawing ---------------------------------------------------------------------------


def draw(seed: int, engines: list[str]) -> Program:
    """The program of a seed."""
    dice = random.Random(seed)
    names = list(SHAPES)
    parts = (names,) if dice.random() < 0.6 else (names[:2], names[2:])
    made = [_optimizer(dice, part) for part in parts]
    functions = tuple(_function(dice, made) for _ in range(dice.randint(1, 3)))
    ways = tuple(dice.choice(["eager", *engines]) for _ in functions)
    events: list[tuple[Any, ...]] = []
    for _ in range(dice.randint(5, 9)):
        if dice.random() < 0.4:
            events.append(_change(dice, made))
        i = dice.randrange(len(functions))
        picks = any(action[0] == "pick" for action in functions[i])
        bad = picks and dice.random() < 0.4
        events.append(("call", i, dice.randrange(1000), dice.randrange(2), bad))
    return Program(seed, tuple(made), functions, ways, tuple(events))


def _schedule(dice: random.Random) -> dict[str, Any]:
    lr = dice.choice([0.1, 0.05])
    return dice.choice(
        [
            {"name": "Schedule", "lr": lr},
            {"name": "StepLR", "lr": lr, "step_size": 2, "gamma": 0.5, "unit": "step"},
            {"name": "ExponentialLR", "lr": lr, "gamma": 0.75, "unit": "step"},
            {"name": "CosineAnnealingLR", "lr": lr, "T_max": 9, "unit": "step"},
            {"name": "LinearWarmup", "lr": lr, "steps": 3, "start_factor": 0.5},
            {
                "name": "MultiStepLR",
                "lr": lr,
                "milestones": [1, 4],
                "gamma": 0.5,
                "unit": "step",
            },
            {
                "name": "PiecewiseConstantLR",
                "lr": lr,
                "milestones": [1, 4],
                "rates": [lr / 2, lr * 0.75],
                "unit": "step",
            },
        ]
    )


def _options(kind: str) -> list[str]:
    own = optim.OPTIMIZERS[kind]().options
    return [name for name in own if name in VALUES]


def _optimizer(dice: random.Random, names: list[str]) -> dict[str, Any]:
    kind = dice.choice(KINDS)
    options = {n: VALUES[n][0] for n in _options(kind)}
    options |= {n: dice.choice(VALUES[n]) for n in options if dice.random() < 0.5}
    if not options.get("momentum") or options.get("dampening"):
        options.pop("nesterov", None)
    groups = [{"params": names}]
    if len(names) > 1 and dice.random() < 0.5:
        groups = [{"params": names[:1]}, {"params": names[1:]}]
        if dice.random() < 0.5:
            groups[0]["lr"] = _schedule(dice)
        name = dice.choice([n for n in options if n != "nesterov"])
        if kind != "SGD":
            groups[1][name] = dice.choice(VALUES[name])
    limits = {k: dice.choice(v) for k, v in LIMITS.items()}
    given = {"kind": kind, "lr": _schedule(dice), "options": options}
    return given | {"groups": groups, "limits": limits}


def _function(dice: random.Random, made: list[dict[str, Any]]) -> tuple[Any, ...]:
    actions: list[tuple[Any, ...]] = []
    for _ in range(dice.randint(1, 4)):
        i = dice.randrange(len(made))
        mine = [n for group in made[i]["groups"] for n in group["params"]]
        if dice.random() < 0.6:
            actions.append(("read", i, _readable(dice, made[i])))
        if dice.random() < 0.2:
            actions.append(("shrink", i, dice.choice(mine)))
        if dice.random() < 0.2:
            actions.append(("draw",))
        some = tuple(n for n in SHAPES if n in mine[:1] or dice.random() < 0.7)
        actions.append(("backward", dice.random() < 0.8, some))
        actions.append(("step", i, dice.random() < 0.2))
    if dice.random() < 0.5:
        actions.append(("read", i, _readable(dice, made[i])))
    if dice.random() < 0.3:
        actions.insert(dice.randrange(len(actions) + 1), ("pick",))
    return tuple(actions)


def _readable(dice: random.Random, of: dict[str, Any]) -> tuple[Any, ...]:
    options = list(of["options"])
    group = dice.randrange(len(of["groups"]))
    return dice.choice(
        [
            ("lr",),
            ("steps",),
            ("group", group, "lr"),
            ("group", group, dice.choice(options)),
            ("option", dice.choice(options)),
            ("limit", dice.choice(list(LIMITS))),
            ("schedule", dice.randrange(5)),
        ]
    )


def _change(dice: random.Random, made: list[dict[str, Any]]) -> tuple[Any, ...]:
    i = dice.randrange(len(made))
    name = dice.choice([*made[i]["options"]])
    value, group = dice.choice(VALUES[name]), dice.randrange(len(made[i]["groups"]))
    limit = dice.choice(list(LIMITS))
    return dice.choice(
        [
            ("option", i, name, value),
            ("option", i, name, value),
            ("group", i, group, name, value),
            ("rate", i, _schedule(dice)),
            ("group rate", i, group, dice.choice([0.025, 0.075])),
            ("limit", i, limit, dice.choice(LIMITS[limit])),
            ("attribute", i, "gamma", dice.choice([0.25, 0.9])),
            ("steps", i, dice.randrange(6)),
            ("save", i),
            ("load", i),
            ("renew", i),
            ("cut",),
            ("forget",),
        ]
    )


# -- running ---------------------------------------------------------------------------


def _coefficients(seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {n: rng.uniform(0.5, 1.5, shape) for n, shape in SHAPES.items()}


def _start() -> dict[str, Array]:
    rng = np.random.default_rng(7)
    return {n: rng.uniform(-1.0, 1.0, shape) for n, shape in SHAPES.items()}


def _built(settings: dict[str, Any]) -> Any:
    if settings["name"] == "Schedule":
        return settings["lr"]
    if settings["name"] == "LinearWarmup":
        rest = settings["steps"], settings["start_factor"]
        return optim.LinearWarmup(settings["lr"], *rest)
    return optim.build_schedule(settings)


class World:
    """The program in Chainrule; ``eagerly``: whatever ways the functions have."""

    def __init__(self, program: Program, eagerly: bool) -> None:
        self.program, self.eagerly = program, eagerly
        cr.manual_seed(3)
        self.saved: dict[int, Any] = {}
        self.build(_start())

    def build(self, numbers: dict[str, Array]) -> None:
        """Tensors, optimisers and functions, all new."""
        self.params = {
            n: cr.tensor(a, dtype="float64", requires_grad=True)
            for n, a in numbers.items()
        }
        self.table = cr.tensor([1.0, 2.0, 3.0], dtype="float64")
        self.optimizers = [self.optimizer(of) for of in self.program.optimizers]
        self.functions = [
            self.function(actions, "eager" if self.eagerly else way)
            for actions, way in zip(self.program.functions, self.program.ways)
        ]

    def optimizer(self, of: dict[str, Any]) -> Any:
        """An optimiser of these settings for the tensors that there are."""
        groups = []
        for given in of["groups"]:
            group = dict(given)
            group["params"] = [(n, self.params[n]) for n in given["params"]]
            if "lr" in group:
                group["lr"] = _built(group["lr"])
            groups.append(group)
        params = groups[0]["params"] if len(groups) == 1 else groups
        kind = optim.OPTIMIZERS[of["kind"]]
        return kind(params, lr=_built(of["lr"]), **of["options"], **of["limits"])

    def function(self, actions: tuple[Any, ...], way: str) -> Any:
        """The actions as a function of coefficients, a place and a truth value."""
        params, optimizers, table = self.params, self.optimizers, self.table

        def run(given: dict[str, cr.Tensor], place: cr.Tensor, flag: bool) -> Any:
            seen: list[Any] = []
            factor: Any = 1.0
            if way == "eager" and ("pick",) in actions:
                seen.append(table[place])
            for action in actions:
                if action[0] == "read":
                    value = _read(optimizers[action[1]], action[2])
                    seen.append(given["c"] * value)
                elif action[0] == "shrink":
                    p = params[action[2]]
                    with cr.no_grad():
                        p.copy_(p * (1 - optimizers[action[1]].lr))
                elif action[0] == "draw":
                    factor = cr.rand(dtype="float64") + 0.5
                    seen.append(factor)
                elif action[0] == "backward":
                    if action[1]:
                        for optimizer in optimizers:
                            optimizer.zero_grad()
                    losses = [(given[n] * params[n].sin()).sum() for n in action[2]]
                    (sum(losses) * factor).backward()
                elif action[0] == "step":
                    if flag or not action[2]:
                        optimizers[action[1]].step()
                elif way != "eager":
                    seen.append(table[place])
            return seen

        return run if way == "eager" else cr.compile(run, engine=way)

    def happen(self, event: tuple[Any, ...]) -> Any:
        """What an event gives: outputs, or "refused"."""
        what, *rest = event
        if what == "call":
            i, seed, flag, bad = rest
            given = {n: cr.tensor(a) for n, a in _coefficients(seed).items()}
            try:
                seen = self.functions[i](given, cr.tensor(7 if bad else 1), bool(flag))
            except ChainruleError:
                if not bad:
                    raise
                return "refused"
            return [np.asarray(t.numpy(), np.float64) for t in seen]
        if what == "cut":
            states = [o.state_dict() for o in self.optimizers]
            grads = {n: t.grad for n, t in self.params.items()}
            self.build({n: np.array(t.numpy()) for n, t in self.params.items()})
            for optimizer, state in zip(self.optimizers, states):
                optimizer.load_state_dict(state)
            for n, g in grads.items():
                self.params[n].grad = None if g is None else cr.tensor(g)
            return None
        if what == "forget":
            for t in self.params.values():
                t.grad = None
            return None
        i, *rest = rest
        optimizer = self.optimizers[i]
        try:
            if what == "option":
                setattr(optimizer, *rest)
            elif what == "group":
                optimizer.param_groups[rest[0]][rest[1]] = rest[2]
        except ArgumentError:
            return "refused"
        if what == "rate":
            optimizer.lr = _built(rest[0])
        elif what == "group rate":
            optimizer.param_groups[rest[0]]["lr"] = rest[1]
        elif what == "limit":
            setattr(optimizer, *rest)
        elif what == "attribute" and hasattr(optimizer.schedule, rest[0]):
            setattr(optimizer.schedule, *rest)
        elif what == "steps":
            optimizer.steps = rest[0]
        elif what == "save":
            self.saved[i] = optimizer.state_dict()
        elif what == "load" and i in self.saved:
            optimizer.load_state_dict(self.saved[i])
        elif what == "renew":
            new = self.optimizer(self.program.optimizers[i])
            new.load_state_dict(optimizer.state_dict())
            self.optimizers[i] = new
        return None

    def standing(self) -> dict[str, Any]:
        """All numbers that there are, by name."""
        made: dict[str, Any] = {n: t.numpy() for n, t in self.params.items()}
        for n, t in self.params.items():
            made[f"{n}.grad"] = None if t.grad is None else t.grad.numpy()
        for i, optimizer in enumerate(self.optimizers):
            made |= {f"{i}.steps": optimizer.steps, f"{i}.lr": optimizer.lr}
            for n, moments in optimizer.state.items():
                made |= {f"{i}.{n}.{k}": t.numpy() for k, t in moments.items()}
        return made


def _read(optimizer: Any, what: tuple[Any, ...]) -> Any:
    if what == ("lr",):
        return optimizer.lr
    if what == ("steps",):
        return optimizer.steps
    if what[0] == "schedule":
        return optimizer.schedule(what[1])
    if what[0] == "group":
        return _number(optimizer.param_groups[what[1]][what[2]])
    return _number(getattr(optimizer, what[1]))


def _number(value: Any) -> Any:
    """A hyper-parameter as a number: what a function may decide by."""
    if value is None or isinstance(value, bool):
        return 2.0 if value else 3.0
    return value[0] - value[1] if isinstance(value, tuple) else value


class Plain:
    """The program in NumPy."""

    def __init__(self, program: Program) -> None:
        self.program, self.params = program, _start()
        self.grads: dict[str, Array] = {}
        self.saved: dict[int, Any] = {}
        self.optimizers = [self._made(of) for of in program.optimizers]
        self.draws: list[Array] = []

    def _made(self, of: dict[str, Any]) -> Any:
        common = dict(optim.OPTIMIZERS[of["kind"]]().options) | of["options"]
        held = {"common": common, "schedule": dict(of["lr"])}
        held["own"] = [
            {k: v for k, v in group.items() if k != "params"} for group in of["groups"]
        ]
        groups = [Group(list(group["params"]), {}, None) for group in of["groups"]]
        made = Oracle(of["kind"], groups, of["limits"])
        made.held = held  # type: ignore[attr-defined]
        self._follow(made)
        made.settle(self.params)
        return made

    def _follow(self, optimizer: Any) -> None:
        """Give each group what it has, or what the optimiser has."""
        held = optimizer.held
        for group, own in zip(optimizer.groups, held["own"]):
            group.o = held["common"] | {k: v for k, v in own.items() if k != "lr"}
            group.schedule = own.get("lr", held["schedule"])

    def happen(self, event: tuple[Any, ...], eager: Any) -> Any:
        """See :meth:`World.happen`; random numbers are those of the eager run."""
        what, *rest = event
        if what == "call":
            return self._call(*rest, eager)
        if what == "forget":
            self.grads = {}
        if what in ("cut", "forget"):
            return None
        i, *rest = rest
        optimizer = self.optimizers[i]
        held = optimizer.held
        before = copy.deepcopy(held)
        if what == "option":
            held["common"][rest[0]] = rest[1]
        elif what == "group" and len(held["own"]) > 1:
            held["own"][rest[0]][rest[1]] = rest[2]
        elif what == "group":
            held["common"][rest[1]] = rest[2]
        elif what == "rate":
            held["schedule"] = dict(rest[0])
        elif what == "group rate":
            new = {"name": "Schedule", "lr": rest[1]}
            if len(held["own"]) > 1:
                held["own"][rest[0]]["lr"] = new
            else:
                held["schedule"] = new
        elif what == "limit":
            optimizer.limits[rest[0]] = rest[1]
        elif what == "attribute" and rest[0] in held["schedule"]:
            held["schedule"][rest[0]] = rest[1]
        elif what == "steps":
            optimizer.steps = rest[0]
        elif what == "save":
            self.saved[i] = copy.deepcopy(vars(optimizer))
        elif what == "load" and i in self.saved:
            vars(optimizer).update(copy.deepcopy(self.saved[i]))
        self._follow(optimizer)
        for group in optimizer.groups:
            o = group.o
            if o.get("nesterov") and not (o["momentum"] and not o["dampening"]):
                optimizer.held = before
                self._follow(optimizer)
                return "refused"
        optimizer.settle(self.params)
        return None

    def _call(self, i: int, seed: int, flag: int, bad: bool, eager: Any) -> Any:
        if bad:
            return "refused"
        given, seen = _coefficients(seed), []
        actions, factor = self.program.functions[i], 1.0
        for action in actions:
            if action[0] == "read":
                value = self._read(self.optimizers[action[1]], action[2])
                seen.append(given["c"] * value)
            elif action[0] == "shrink":
                optimizer = self.optimizers[action[1]]
                lr = rate(optimizer.held["schedule"], optimizer.steps)
                self.params[action[2]] = self.params[action[2]] * (1 - lr)
            elif action[0] == "draw":
                first = ("pick",) in actions  # which the eager run gives first
                factor = float(eager[len(seen) + first])
                seen.append(np.array(factor))
            elif action[0] == "backward":
                if action[1]:
                    self.grads = {}
                for n in action[2]:
                    g = given[n] * np.cos(self.params[n]) * factor
                    self.grads[n] = self.grads.get(n, 0.0) + g
            elif action[0] == "step" and (flag or not action[2]):
                self.optimizers[action[1]].step(self.params, self.grads)
        return [np.array(2.0), *seen] if ("pick",) in actions else seen

    def _read(self, optimizer: Any, what: tuple[Any, ...]) -> Any:
        held = optimizer.held
        if what == ("lr",):
            return rate(held["schedule"], optimizer.steps)
        if what == ("steps",):
            return optimizer.steps
        if what[0] == "schedule":
            return rate(held["schedule"], what[1])
        if what[0] == "limit":
            return _number(optimizer.limits[what[1]])
        if what[0] == "option":
            return _number(held["common"][what[1]])
        group = optimizer.groups[what[1]]
        if what[2] == "lr":
            return rate(group.schedule, optimizer.steps)
        return _number(group.o[what[2]])

    def standing(self) -> dict[str, Any]:
        """See :meth:`World.standing`."""
        made: dict[str, Any] = dict(self.params)
        made |= {f"{n}.grad": self.grads.get(n) for n in SHAPES}
        for i, optimizer in enumerate(self.optimizers):
            lr = rate(optimizer.held["schedule"], optimizer.steps)
            made |= {f"{i}.steps": optimizer.steps, f"{i}.lr": lr}
            for n, moments in optimizer.state.items():
                made |= {f"{i}.{n}.{k}": a for k, a in moments.items()}
        return made


# -- comparing -------------------------------------------------------------------------


def failure(program: Program) -> str | None:
    """What is different, and where; None where all three runs agree."""
    worlds = World(program, eagerly=True), World(program, eagerly=False)
    plain = Plain(program)
    generators = [_generator(), _generator()]
    for at, event in enumerate(program.events):
        given: list[Any] = []
        for k, world in enumerate(worlds):
            _stand(generators[k])
            try:
                given.append(world.happen(event))
            except Exception as error:
                return f"event {at}: {type(error).__name__} in run {k}: {error}"
            generators[k] = _generator()
        given.append(plain.happen(event, given[0]))
        if event[0] == "call" and not isinstance(given[1], str):
            given[1] = _in_order(program, event[1], given[1])
        stands = [worlds[0].standing(), worlds[1].standing(), plain.standing()]
        for k, name in ((1, "the eager one"), (2, "NumPy")):
            one, other = (1, 0) if k == 1 else (0, 2)
            wrong = _different(given[one], given[other], "outputs")
            wrong = wrong or _different(stands[one], stands[other], "state")
            if wrong:
                return f"event {at}, {event}: against {name}: {wrong}"
        if _generator() != generators[0] or generators[0] != generators[1]:
            return f"event {at}, {event}: random numbers drawn differ"
    return None


def _generator() -> tuple[Any, ...]:
    own = cr.random.default_generator
    return own.key.tolist(), own.counter.item()


def _stand(generator: tuple[Any, ...]) -> None:
    own = cr.random.default_generator
    own.key.copy_(np.array(generator[0], np.uint32))
    own.counter.copy_(np.uint32(generator[1]))


def _in_order(program: Program, i: int, seen: list[Array]) -> list[Array]:
    """Outputs as the eager run gives them: what was picked comes first."""
    actions = program.functions[i]
    if program.ways[i] == "eager" or ("pick",) not in actions:
        return seen
    gives = [a for a in actions if a[0] in ("read", "draw", "pick")]
    at = gives.index(("pick",))
    return [seen[at], *seen[:at], *seen[at + 1 :]]


def _different(one: Any, other: Any, what: str) -> str | None:
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return f"{what}: {sorted(one.keys() ^ other.keys())} in one alone"
        found = (_different(one[k], other[k], f"{what} {k}") for k in one)
        return next((wrong for wrong in found if wrong), None)
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return f"{what}: {len(one)} and {len(other)}"
        found = (
            _different(a, b, f"{what} {k}") for k, (a, b) in enumerate(zip(one, other))
        )
        return next((wrong for wrong in found if wrong), None)
    if one is None or other is None or isinstance(one, str) or isinstance(other, str):
        same = one is other or (isinstance(one, str) and one == other)
        return None if same else f"{what}: {one!r} and {other!r}"
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if a.shape != b.shape or not np.allclose(a, b, rtol=CLOSE, atol=CLOSE):
        return f"{what}: {a.tolist()} and {b.tolist()}"
    return None
