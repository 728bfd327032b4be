"""Random programs: drawn, run as they are cut into parts, compared, and shrunk.

A program is a list of operations over a few tensors. It is run wholly eagerly in
float64, and cut into parts: eager ones, compiled ones, compiled ones within compiled
ones, with derivatives taken around or inside.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.errors import GradientError
from tests.program_vocabulary import CHOICES, WEIGHTS, WORDS, Word

SHAPES = [(), (3,), (5,), (4, 3), (3, 5), (4, 5), (3, 3), (2, 3, 5), (4, 1), (2, 4, 3)]
#: Numbers stay below.
LARGE = 30.0
#: Results are moved by this much, relative and absolute, to see what depends on them:
#: ten times what float32 rounds.
NOISE = 1e-6
#: So far results may move; what moves by more is near a jump, or ill-conditioned.
MOST = 1e-3
CALLS = 2


class UntameError(Exception):
    """The numbers grow, or come near a jump: float32 cannot be held to them."""


@dataclass(frozen=True)
class Leaf:
    """A tensor that a program starts from.

    Attributes:
        kind: f, i or b.
        role: input; param (a derivative is taken); owned (a parameter whose ``.grad``
            the program itself uses); state (changed by ``copy_``).
        captured: whether compiled parts find it outside, instead of being given it.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    dtype: str
    role: str = "input"
    captured: bool = False

    def numbers(self, call: int) -> np.ndarray:
        """The numbers that it has in a call."""
        rng = np.random.default_rng([call, *map(ord, self.name)])
        if self.kind == "i":
            return rng.integers(-4, 9, self.shape)
        if self.kind == "b":
            return rng.random(self.shape) < 0.5
        return np.asarray(rng.uniform(-1.5, 1.5, self.shape))


@dataclass(frozen=True)
class Op:
    """``out = word(*args, **attrs)``, in a part of the program."""

    out: str
    word: str
    args: tuple[str, ...]
    attrs: dict[str, Any]
    part: int

    def __str__(self) -> str:
        given = [*self.args, *(f"{k}={v!r}" for k, v in self.attrs.items())]
        return f"{self.out} = {self.word} of {', '.join(given)}"


@dataclass(frozen=True)
class Program:
    """Leaves, operations, how each part runs, and how the derivative is taken."""

    seed: int
    leaves: tuple[Leaf, ...]
    ops: tuple[Op, ...]
    modes: tuple[str, ...]
    around: str

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, around: {self.around}"]
        used = {a for op in self.ops for a in op.args}
        for leaf in self.leaves:
            if leaf.name in used:
                where = ", captured" if leaf.captured else ""
                lines.append(
                    f"  {leaf.name}: {leaf.role} {leaf.dtype}{leaf.shape}{where}"
                )
        lines += [f"  [{self.modes[op.part]:8}] {op}" for op in self.ops]
        return "\n".join(lines)

    def ends(self) -> list[str]:
        """The results that nothing uses."""
        used = {a for op in self.ops for a in op.args}
        return [op.out for op in self.ops if op.out not in used]


# -- what has effects ------------------------------------------------------------------


def _set_state(s: cr.Tensor, v: cr.Tensor) -> cr.Tensor:
    s.copy_(v.detach())
    return s * 2


def _own_step(p: cr.Tensor, v: cr.Tensor, clear: bool, update: bool) -> cr.Tensor:
    """A derivative by ``backward``, read from ``.grad``, and a step along it."""
    if clear:
        p.grad = None
    (p.tanh() * v.detach()).sum().backward()
    assert p.grad is not None
    made = p.grad * 0.5
    if update:
        with cr.no_grad():
            p.copy_(p - 0.1 * p.grad)
    return made


EFFECTS = {
    "read_state": Word("s", lambda s: s * 1.0),
    "set_state": Word("sf", _set_state),
    "own_step": Word("of", _own_step),
    "read_own": Word("o", lambda p: p * 1.0),
}
ALL = {**WORDS, **EFFECTS}


def _apply(op: Op, env: dict[str, cr.Tensor], noise: float = 0.0) -> cr.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NaN is a result like others
        made = ALL[op.word].apply(*[env[a] for a in op.args], **op.attrs)
    if not noise or not made.dtype.is_float:
        return made
    rng = np.random.default_rng([*map(ord, op.out)])
    factor, term = rng.uniform(0.5, 1, (2, *made.shape)) * noise
    return made * (1 + factor) + term * rng.choice([-1, 1], made.shape)


# -- drawing ---------------------------------------------------------------------------


def _kind(t: cr.Tensor) -> str:
    return "b" if t.dtype is cr.bool else "f" if t.dtype.is_float else "i"


def draw(seed: int, length: int | None = None) -> Program:
    """A program with numbers that float32 can be held to."""
    rng = random.Random(seed)
    main = rng.choices(["float32", "float64", "mixed"], [6, 2, 1])[0]
    leaves: list[Leaf] = []

    def leaf(kind: str, role: str = "input", shape: Any = None) -> None:
        shape = rng.choice(SHAPES) if shape is None else shape
        dtype = {"i": "int64", "b": "bool"}.get(kind) or main
        if dtype == "mixed":
            dtype = rng.choice(["float32", "float64"])
        captured = role in ("owned", "state") or rng.random() < 0.4
        name = f"{kind if role == 'input' else role[0]}{len(leaves)}"
        leaves.append(Leaf(name, shape, kind, dtype, role, captured))

    for _ in range(rng.randint(1, 2)):
        leaf("f", "param")
    for _ in range(rng.randint(1, 2)):
        leaf("f")
    leaf("f", shape=rng.choice([x.shape for x in leaves]))
    leaf("i", shape=rng.choice([(3,), (4,), (2, 2), (), (4, 3), (3, 5)]))
    leaf("i", shape=rng.choice([leaves[-1].shape, (3,), ()]))
    leaf("b", shape=rng.choice([x.shape for x in leaves[:3]]))
    if rng.random() < 0.4:
        leaf("f", "state", rng.choice([x.shape for x in leaves[:4]]))
    if rng.random() < 0.4:
        leaf("f", "owned", rng.choice([x.shape for x in leaves[:4]]))
    machine = Machine(Program(seed, tuple(leaves), (), (), "backward"), None)
    env = machine.start(0)
    ops: list[Op] = []
    part, parts = 0, 1
    wanted = length or rng.randint(5, 25)
    for _ in range(20_000):
        if len(ops) == wanted:
            break
        op = _drawn(rng, leaves, env, f"v{len(ops)}", part)
        if op is None:
            continue
        try:
            made = _apply(op, env)
        except (cr.ChainruleError, ArithmeticError, LookupError, ValueError):
            continue
        if np.prod(made.shape) > 200 or not _is_tame(made):
            continue
        env[op.out] = made
        ops.append(op)
        if rng.random() < 0.2:
            part, parts = part + 1, parts + 1
    modes = tuple(
        rng.choice(["eager", "eager", "compiled", "compiled", "nested"])
        for _ in range(parts)
    )
    around = rng.choice(
        ["backward", "backward", "grad", "step", "compiled_grad", "grad_of_compiled"]
    )
    return Program(seed, tuple(leaves), tuple(ops), modes, around)


def _drawn(
    rng: random.Random, leaves: list[Leaf], env: dict[str, Any], out: str, part: int
) -> Op | None:
    states = [x.name for x in leaves if x.role == "state"]
    owned = [x.name for x in leaves if x.role == "owned"]
    usable = {k: t for k, t in env.items() if k not in states and k not in owned}
    if (states or owned) and rng.random() < 0.12:
        name = rng.choice(states + owned)
        alike = [
            k
            for k, t in usable.items()
            if t.shape == env[name].shape and _kind(t) == "f"
        ]
        reads = rng.random() < 0.4 or not alike
        if name in states:
            word = "read_state" if reads else "set_state"
            attrs: dict[str, Any] = {}
        else:
            word = "read_own" if reads else "own_step"
            attrs = {"clear": rng.random() < 0.5, "update": rng.random() < 0.4}
        if reads:
            return Op(out, word, (name,), {}, part)
        return Op(out, word, (name, rng.choice(alike)), attrs, part)
    (name,) = rng.choices([*WORDS], WEIGHTS)
    word = WORDS[name]
    args: list[str] = []
    for kind in word.kinds:
        fits = [k for k, t in usable.items() if _kind(t) == kind]
        if not fits:
            return None
        # The newest are likelier: programs are deep and not only wide.
        args.append(rng.choice(fits[-4:] if rng.random() < 0.5 else fits))
    return Op(out, name, tuple(args), {k: CHOICES[k](rng) for k in word.drawn}, part)


def _is_tame(t: cr.Tensor) -> bool:
    return bool(np.max(np.abs(t.detach().numpy()), initial=0) <= LARGE)


# -- running ---------------------------------------------------------------------------


@dataclass
class Machine:
    """Runs a program: cut into parts on an engine, or eagerly where that is None.

    Attributes:
        wide: every float is float64.
        noise: every float that is computed is moved by this much.
    """

    program: Program
    engine: str | None
    wide: bool = True
    noise: float = 0.0
    leaves: dict[str, cr.Tensor] = field(default_factory=dict[str, cr.Tensor])
    compiled: dict[Any, Any] = field(default_factory=dict[Any, Any])

    def _tensor(self, leaf: Leaf, call: int) -> cr.Tensor:
        dtype = "float64" if self.wide and leaf.kind == "f" else leaf.dtype
        made = cr.tensor(leaf.numbers(call), dtype=dtype)
        return made.requires_grad_(leaf.role in ("param", "owned"))

    def start(self, call: int) -> dict[str, cr.Tensor]:
        """The leaves as they are when a call begins."""
        for leaf in self.program.leaves:
            made = self._tensor(leaf, call)
            if leaf.name not in self.leaves or (
                leaf.role == "input" and not leaf.captured
            ):
                self.leaves[leaf.name] = made
            elif leaf.role in ("input", "param"):
                self.leaves[leaf.name].copy_(made.detach())
        return dict(self.leaves)

    def run(self) -> dict[str, Any]:
        """Everything that can be seen of some calls, by name."""
        seen: dict[str, Any] = {}
        for call in range(CALLS):
            env = self.start(call)
            now = self._call(env)
            for name, made in now.items():
                seen[f"{name} of call {call}"] = _numbers(made)
            for leaf in self.program.leaves:
                if leaf.role in ("owned", "state"):
                    tensor = self.leaves[leaf.name]
                    seen[f"{leaf.name} after call {call}"] = _numbers(tensor)
                    seen[f"{leaf.name}.grad after call {call}"] = _numbers(tensor.grad)
        return seen

    def _call(self, env: dict[str, cr.Tensor]) -> dict[str, Any]:
        program = self.program
        around = program.around
        params = [x.name for x in program.leaves if x.role == "param"]
        given = [x.name for x in program.leaves if x.role == "input" and not x.captured]
        compiles = self.engine is not None

        def loss(*args: cr.Tensor) -> tuple[cr.Tensor, dict[str, cr.Tensor]]:
            local = {**fixed, **dict(zip(names, args))}
            ends = self._body(local)
            total = None
            for name, end in ends.items():
                if _kind(end) == "f":
                    weights = np.cos(np.arange(np.prod(end.shape)) + len(name))
                    part = (end * weights.reshape(end.shape).astype("f4")).sum()
                    total = part if total is None else total + part
            if total is None:
                total = cr.tensor(0.0, dtype="float64" if self.wide else "float32")
            for name in params:
                total = total + (local[name] * 0.5).sum()
            return total, ends

        def made_once(key: str, function: Any) -> Any:
            if not compiles:
                return function
            if key not in self.compiled:
                self.compiled[key] = cr.compile(function, engine=self.engine)
            return self.compiled[key]

        if around in ("backward", "step"):
            names = given
            fixed = {k: t for k, t in env.items() if k not in names}

            def step(*args: cr.Tensor) -> Any:
                for name in params:
                    fixed[name].grad = None
                total, ends = loss(*args)
                total.backward()
                return {"loss": total, **ends}

            run = made_once("step", step) if around == "step" else step
            seen = run(*[env[k] for k in names])
            return {**seen, **{f"{k}.grad": env[k].grad for k in params}}
        names = [*params, *given]
        fixed = {k: t for k, t in env.items() if k not in names}
        places = tuple(range(len(params)))
        if around == "grad_of_compiled":
            run = cr.value_and_grad(made_once("loss", loss), places, has_aux=True)
        else:
            run = cr.value_and_grad(loss, places, has_aux=True)
            if around == "compiled_grad":
                run = made_once("grad", run)
        (total, ends), grads = run(*[env[k] for k in names])
        return {
            "loss": total,
            **ends,
            **{f"{k}.grad": g for k, g in zip(params, grads)},
        }

    # -- the parts of a program ----------------------------------------------------

    def _body(self, env: dict[str, cr.Tensor]) -> dict[str, cr.Tensor]:
        program = self.program
        for part in sorted({op.part for op in program.ops}):
            ops = [op for op in program.ops if op.part == part]
            mode = "eager" if self.engine is None else program.modes[part]
            if mode == "eager":
                for op in ops:
                    env[op.out] = _apply(op, env, self.noise)
                continue
            names, wanted = self._border(part, ops)
            key = f"part{part}"
            if key not in self.compiled:
                captured = {
                    x.name: self.leaves[x.name]
                    for x in program.leaves
                    if self._is_captured(x)
                }
                if mode == "nested":
                    half = len(ops) // 2
                    inner = self._function(ops[:half], captured, names, None)
                    inner = cr.compile(inner, engine=self.engine)
                    function = self._function(
                        ops[half:], captured, names, wanted, inner
                    )
                else:
                    function = self._function(ops, captured, names, wanted)
                self.compiled[key] = cr.compile(function, engine=self.engine)
            made = self.compiled[key](*[env[k] for k in names])
            env.update(zip(wanted, made))
        return {k: env[k] for k in program.ends()}

    def _is_captured(self, leaf: Leaf) -> bool:
        if leaf.role == "param" and self.program.around not in ("backward", "step"):
            return False
        return leaf.captured

    def _border(self, part: int, ops: list[Op]) -> tuple[list[str], list[str]]:
        """What a part is given, and what of its results is used outside."""
        program = self.program
        own = {op.out for op in ops}
        captured = {x.name for x in program.leaves if self._is_captured(x)}
        names = {a for op in ops for a in op.args} - own - captured
        used = {a for op in program.ops if op.part != part for a in op.args}
        used |= set(program.ends())
        return sorted(names), [op.out for op in ops if op.out in used]

    def _function(
        self,
        ops: list[Op],
        captured: dict[str, cr.Tensor],
        names: list[str],
        wanted: list[str] | None,
        inner: Any = None,
    ) -> Any:
        def function(*args: cr.Tensor) -> Any:
            env = {**captured, **dict(zip(names, args))}
            if inner is not None:
                env.update(inner(*args))
            for op in ops:
                env[op.out] = _apply(op, env)
            if wanted is None:
                return {op.out: env[op.out] for op in ops}
            return tuple([env[k] for k in wanted])

        return function


def _numbers(t: cr.Tensor | None) -> np.ndarray | None:
    return None if t is None else t.detach().numpy().copy()


# -- comparing -------------------------------------------------------------------------


def check(program: Program, engines: list[str]) -> None:
    """The program on engines against itself, eagerly in float64.

    Raises:
        UntameError: numbers that float32 cannot be held to.
    """
    wanted = Machine(program, None).run()
    moved = [
        off(Machine(program, None, noise=noise).run(), wanted)
        for noise in (NOISE, -NOISE)
    ]
    shift = {name: max(m[name] for m in moved) for name in wanted}
    if max(shift.values()) > MOST:
        raise UntameError(max(shift, key=lambda name: shift[name]))
    plain = Machine(program, None, wide=False).run()
    compare(plain, wanted, "eager", shift)
    for engine in engines:
        try:
            made = Machine(program, engine, wide=False).run()
        except GradientError as error:
            if "has changed a parameter" in str(error):
                continue  # refused, and it says so
            raise
        compare(made, wanted, engine, shift)
        for name, array in made.items():
            if array is not None and array.dtype != plain[name].dtype:
                raise AssertionError(
                    f"{engine}: {name} is {array.dtype}, eagerly {plain[name].dtype}"
                )


def off(got: dict[str, Any], wanted: dict[str, Any]) -> dict[str, float]:
    """How far results are from others, relative to the largest number above 1.

    It is infinite where they differ in more than numbers, or integers do at all.
    """
    found: dict[str, float] = {}
    for name, array in wanted.items():
        mine = got[name]
        if array is None or mine is None:
            found[name] = 0.0 if array is mine is None else np.inf
        elif mine.shape != array.shape or array.dtype.kind in "ib":
            found[name] = 0.0 if np.array_equal(mine, array) else np.inf
        else:
            scale = max(1.0, float(np.max(np.abs(array), initial=0.0)))
            worst = np.max(np.abs(mine.astype("f8") - array), initial=0.0)
            found[name] = float(worst) / scale if np.isfinite(worst) else np.inf
    return found


def compare(
    got: dict[str, Any], wanted: dict[str, Any], how: str, shift: dict[str, float]
) -> None:
    """Refuse results that differ by more than rounding, which ``shift`` is tenfold."""
    for name, distance in off(got, wanted).items():
        if distance > 2e-4 + shift[name]:
            raise AssertionError(
                f"{how}: {name} is\n{got[name]}\ninstead of\n{wanted[name]}"
            )


# -- shrinking -------------------------------------------------------------------------


def failure(program: Program, engines: list[str]) -> str | None:
    """What is wrong with a program, if anything."""
    try:
        check(program, engines)
    except UntameError:
        return None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def shrunk(program: Program, engines: list[str], attempts: int = 300) -> Program:
    """The shortest program found that still fails."""
    going = True
    while going and attempts > 0:
        going = False
        for smaller in _smaller(program):
            attempts -= 1
            if failure(smaller, engines) is not None:
                program, going = smaller, True
                break
            if attempts <= 0:
                break
    return program


def _smaller(program: Program) -> Iterator[Program]:
    for op in reversed(program.ops):
        gone = {op.out}
        for other in program.ops:
            if gone & set(other.args):
                gone.add(other.out)
        kept = tuple(o for o in program.ops if o.out not in gone)
        yield replace(program, ops=kept)
    if program.around != "backward":
        yield replace(program, around="backward")
    for i, mode in enumerate(program.modes):
        for simpler in {"nested": ["eager", "compiled"], "compiled": ["eager"]}.get(
            mode, []
        ):
            modes = (*program.modes[:i], simpler, *program.modes[i + 1 :])
            if any(op.part == i for op in program.ops):
                yield replace(program, modes=modes)
    used = {a for op in program.ops for a in op.args}
    for leaf in program.leaves:
        if leaf.name not in used and leaf.role != "param":
            kept_leaves = tuple(x for x in program.leaves if x is not leaf)
            yield replace(program, leaves=kept_leaves)
