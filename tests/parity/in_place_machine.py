"""Random programs of changes in place: drawn beside PyTorch, statement by statement.

A program is text that both libraries run. A statement that PyTorch refuses is dropped;
where Chainrule refuses one that PyTorch takes, the program ends there and is counted.
All tensors, their gradients, and which of them record derivatives are compared.

``.data`` stands for ``.detach()`` on PyTorch's side: the same numbers, but PyTorch then
notices where a change has spoilt a derivative, and that derivative is not compared.
"""

from __future__ import annotations

import copy
import random
import re
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import chainrule as cr
from chainrule import nn, optim

SHAPES = {"a": (4, 3), "b": (3, 4), "c": (12,), "d": (2, 3, 2), "e": (3, 3), "f": ()}
LEAVES = {"p": (4, 3), "q": (3,)}
REFUSED = (cr.ChainruleError,)
#: Statements of which PyTorch may have run a part when it refuses them.
PARTLY = ("for ", ";", "[[0, 1]]", "backward")

Program = list[str]


# -- the two sides ---------------------------------------------------------------------


def _numbers(name: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng([*map(ord, name)])
    return np.asarray(rng.uniform(-1.5, 1.5, shape))


def theirs() -> dict[str, Any]:
    """The names that a program begins with, of PyTorch."""
    env: dict[str, Any] = {
        name: torch.tensor(_numbers(name, shape))
        for name, shape in (SHAPES | LEAVES).items()
    }
    for name in LEAVES:
        env[name].requires_grad_()
    m = torch.nn.Linear(3, 2).double()
    with torch.no_grad():
        m.weight.copy_(torch.tensor(_numbers("m", (2, 3))))
        m.bias.copy_(torch.tensor(_numbers("n", (2,))))
    opt = torch.optim.SGD(m.parameters(), lr=0.1)
    return {"t": torch, "init": torch.nn.init, "copy": copy, "m": m, "opt": opt, **env}


def ours() -> dict[str, Any]:
    """The same of Chainrule."""
    env: dict[str, Any] = {
        name: cr.tensor(_numbers(name, shape))
        for name, shape in (SHAPES | LEAVES).items()
    }
    for name in LEAVES:
        env[name].requires_grad_()
    m = nn.Linear(3, 2).double()
    m.weight.copy_(cr.tensor(_numbers("m", (2, 3))))
    m.bias.copy_(cr.tensor(_numbers("n", (2,))))
    opt = optim.SGD(m.parameters(), lr=0.1)
    return {"t": cr, "init": nn.init, "copy": copy, "m": m, "opt": opt, **env}


def run(env: dict[str, Any], statement: str) -> None:
    """One statement, on either side."""
    if env["t"] is torch:
        statement = re.sub(r"\.data\b(?! = )", ".detach()", statement)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(statement, env)


def seen(env: dict[str, Any]) -> dict[str, Any]:
    """Everything that can be seen of the tensors, by name."""
    found: dict[str, Any] = {}
    tensor = torch.Tensor if env["t"] is torch else cr.Tensor
    named = {k: v for k, v in env.items() if isinstance(v, tensor)}
    named |= {"m.weight": env["m"].weight, "m.bias": env["m"].bias}
    for name, x in named.items():
        found[name] = np.array(x.detach().numpy())
        found[f"{name} records"] = np.array(x.requires_grad)
        if x.is_leaf and x.requires_grad:
            grad = x.grad
            if grad is not None:
                found[f"{name}.grad"] = np.array(grad.detach().numpy())
    return found


def difference(mine: dict[str, Any], wanted: dict[str, Any]) -> str | None:
    """The first thing that differs, in words."""
    for name, array in wanted.items():
        got = mine.get(name)
        if name.endswith(".grad"):
            # PyTorch has zeros where nothing is left of a tensor with a derivative.
            array, got = (np.array(0.0 if x is None else x) for x in (array, got))
            if not array.any() and not got.any():
                continue
        if name.endswith(" records"):
            if got and not array:
                return f"{name}, and does not in PyTorch"
            continue
        if got is None:
            return f"{name} is missing"
        if got.shape != array.shape or not np.allclose(
            got, array, rtol=1e-9, atol=1e-9, equal_nan=True
        ):
            return f"{name} is\n{got}\nand in PyTorch\n{array}"
    return None


# -- drawing ---------------------------------------------------------------------------


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\n", " ").split(";")]


VIEWS = _parts("""
[0]; [1]; [-1]; [1:]; [:2]; [1:2]; [::2]; [0:1]; [..., 0]; [:, 1]; [:, 1:]; [None];
[..., None]; [1:, 0]; [()]; [...]; [::2, 1:]; [t.tensor(1)]; .T; .t(); .mT;
.transpose(0, 1); .transpose(-1, 0); .permute(1, 0); .permute(2, 0, 1); .view(-1);
.view(2, -1); .view(3, 4); .reshape(-1); .reshape(2, -1); .reshape(4, 3); .flatten();
.ravel(); .unsqueeze(0); .unsqueeze(-1); .squeeze(); [0:1].squeeze(0); .detach();
.data; .data[:]; .narrow(0, 1, 1); .narrow(1, 0, 2); .chunk(2)[0]; .chunk(2)[-1];
.split(2)[0]; .split(1, 1)[1]; .unbind()[1]; .unbind(1)[0]; .select(0, 1);
.select(1, -1); .diagonal(); .diagonal(1); .expand(2, -1, -1); .expand(3, -1);
.contiguous(); .movedim(0, -1); .swapaxes(0, 1); .unflatten(0, (2, -1)); .view_as(a);
.reshape_as(b); .clone(); .double(); .flatten(0, 1); .data.t(); .data.view(-1);
.diag(); .tile(1); .flip(0); .masked_select(a > 0); [[0, 1]]; .clamp(-1, 1);
.index_select(0, t.tensor([1]))
""")

FUNCTIONS = _parts("""
t.transpose({0}, 0, 1); t.reshape({0}, (-1,)); t.squeeze({0}); t.chunk({0}, 2)[0];
t.flatten({0}); t.unbind({0})[0]; t.split({0}, 1)[0]; t.narrow({0}, 0, 0, 1);
t.diagonal({0}); t.clamp({0}, -9.0, 9.0); t.cat([{0}]); t.stack([{0}]); t.pow({0}, 1);
t.where({0} > 0, {0}, {1}); t.unsqueeze({0}, 0); t.permute({0}, (1, 0));
t.movedim({0}, 0, 1); t.swapaxes({0}, 0, 1); t.broadcast_to({0}, (2, 4, 3));
t.index_select({0}, 0, t.tensor([0]))
""")

CHANGES = _parts("""
.zero_(); .fill_(2.0); .add_(1.0); .mul_(0.5); .sub_({1}); .copy_({1});
.clamp_(-1.0, 1.0); .add_({1}, alpha=0.5); .mul_({1}); .div_(2.0); [:, 0] = {1};
.masked_fill_({1} > 0, 0.25); [0] = 3.0; [1:] = {1}; [...] = 1.5; [:, 0] *= 2.0;
[0] += 1.0; [-1] -= {1}; [{1} > 0] = 0.5; [[0, 1]] = 7.0; [::2] /= 2.0;
.data[0] = 1.0; .data[1:].fill_(1.0); .data.view(-1)[0] = 1.0; .data.t()[0] = 1.0;
.data.mul_(0.5); .data[0].zero_(); [0, 1:] = {1}; [..., -1].mul_({1});
.data -= 0.25; .data *= 0.5
""")

KINDS = {
    "view": 8,
    "function": 2,
    "change": 10,
    "quiet": 6,
    "compute": 4,
    "backward": 2,
    "loop": 2,
    "init": 2,
    "data": 1,
    "augment": 3,
    "leaf": 1,
    "step": 1,
    "module": 1,
    "copy": 0.5,
    "grad": 2,
}


@dataclass
class Drawing:
    """Draws statements over the names that there are."""

    rng: random.Random
    names: list[str] = field(default_factory=lambda: [*SHAPES, *LEAVES])
    made: int = 0

    def source(self) -> str:
        more = ["m.weight", "m.bias", "m.weight.data", "p.grad", "m.weight.grad"]
        if self.rng.random() < 0.15:
            return self.rng.choice(more)
        recent = self.names[-5:] if self.rng.random() < 0.5 else self.names
        return self.rng.choice(recent)

    def view(self, most: int = 2) -> str:
        made = self.source()
        for _ in range(self.rng.randint(0, most)):
            made += self.rng.choice(VIEWS)
        return made

    def new(self) -> str:
        self.made += 1
        return f"v{self.made}"

    def change(self) -> str:
        form = self.rng.choice(CHANGES)
        return self.view(1) + form.format("", self.other())

    def other(self) -> str:
        """What is put in, of its own memory: PyTorch reads what it has just written."""
        return f"({self.view(1)} * {self.rng.choice(['1.0', '2.0'])})"

    def statement(self) -> str:
        rng = self.rng
        (kind,) = rng.choices([*KINDS], [*KINDS.values()])
        match kind:
            case "view":
                return f"{self.new()} = {self.view()}"
            case "function":
                made = rng.choice(FUNCTIONS).format(self.view(1), self.view(1))
                return f"{self.new()} = {made}"
            case "change":
                return self.change()
            case "quiet":
                return f"with t.no_grad(): {self.change()}"
            case "compute":
                word = rng.choice(["{} * {}", "{} + {}", "({} * {}).sin()", "{} * 2.0"])
                return f"{self.new()} = " + word.format(self.view(1), self.view(1))
            case "backward":
                return f"({self.view(1)} * {self.view(1)}).sum().backward()"
            case "loop":
                cut = rng.choice([".chunk(2)", ".unbind()", ".split(1)", ""])
                change = rng.choice([".add_(1.0)", ".zero_()", "[0]=1.0", ".mul_(2.0)"])
                inside = f"for r in {self.view(1)}{cut}: r{change}"
                loops = f"with t.no_grad():\n    {inside}"
                return loops if rng.random() < 0.5 else inside
            case "init":
                how = rng.choice(["zeros_({})", "ones_({})", "constant_({}, 0.5)"])
                return "init." + how.format(self.view(2))
            case "data":
                return f"{self.source()}.data = {self.view(1)}"
            case "augment":
                name = rng.choice(self.names)
                made = rng.choice([" += 1.0", " *= 0.5", f" -= {self.other()}"])
                return name + made
            case "leaf":
                made = rng.choice(
                    [".detach()", ".detach().clone()", ".clone().detach()"]
                )
                return f"{self.new()} = {self.view(1)}{made}.requires_grad_()"
            case "step":
                loss = "(m(a) ** 2).sum().backward()"
                return f"{loss}; opt.step(); m.weight.grad = None; m.bias.grad = None"
            case "module":
                return rng.choice(
                    [
                        "m.load_state_dict({k: t.tensor(2.0) * v.tolist()[0] * 0 + "
                        "t.tensor(v.tolist()) for k, v in m.state_dict().items()})",
                        f"{self.new()} = m({self.view(1)})",
                        "m.weight.grad = None",
                        "p.grad = None",
                    ]
                )
            case "copy":
                return f"{self.new()} = copy.deepcopy({self.view(1)})"
            case _:
                leaf = rng.choice([*LEAVES, "m.weight", "m.bias"])
                return f"{leaf}.grad" + rng.choice(CHANGES).format("", self.other())


@dataclass
class Outcome:
    """What became of a program.

    Attributes:
        program: the statements that both sides have run.
        refused: the one that Chainrule refuses, and its words.
        wrong: what differs.
    """

    program: Program
    refused: tuple[str, str] | None = None
    wrong: str | None = None


def drawn(seed: int, length: int | None = None) -> Outcome:
    """Draw a program, running it on both sides."""
    rng = random.Random(seed)
    drawing, program = Drawing(rng), Program()
    they, we = theirs(), ours()
    wanted = length or rng.randint(4, 14)
    for _ in range(400):
        if len(program) == wanted:
            break
        statement = drawing.statement()
        try:
            if " = " in statement and not _fits(they, statement):
                continue
            run(they, statement)
        except Exception:
            if any(part in statement for part in PARTLY):
                return Outcome(program)
            continue
        try:
            run(we, statement)
        except REFUSED as error:
            return Outcome(program, (statement, str(error)))
        except Exception as error:
            program.append(statement)
            return Outcome(program, wrong=f"{type(error).__name__}: {error}")
        program.append(statement)
        name = statement.split(" = ")[0]
        if name.startswith("v") and name.isalnum() and name not in drawing.names:
            drawing.names.append(name)
        if rng.random() < 0.3 or len(program) == wanted:
            try:
                now = seen(they)
            except RuntimeError:
                return Outcome(program)  # a view that PyTorch does not show any more
            try:
                shown = seen(we)
            except REFUSED as error:
                return Outcome(program, ("reading what it shows", str(error)))
            if (wrong := difference(shown, now)) is not None:
                return Outcome(program, wrong=wrong)
    return Outcome(program, wrong=_derivatives(they, we))


def _fits(env: dict[str, Any], statement: str) -> bool:
    """``x.data = y`` keeps the shape and the dtype here."""
    left, right = statement.split(" = ", 1)
    if not left.endswith(".data"):
        return True
    old, new = eval(left, env), eval(right, env)
    return old.shape == new.shape and old.dtype == new.dtype


def _derivatives(they: dict[str, Any], we: dict[str, Any]) -> str | None:
    """A derivative of everything at the end, where PyTorch has one."""

    def total(env: dict[str, Any]) -> Any:
        made: Any = 0.0
        names = sorted(
            k for k in env if k in SHAPES or (k[0] == "v" and k[1:].isdigit())
        )
        for i, name in enumerate(names):
            x = env[name]
            if x is not None and x.requires_grad:
                made = made + (x * (1.0 + i)).sin().sum()
        return made

    try:
        loss = total(they)
        if isinstance(loss, float):
            return None
        loss.backward()
    except RuntimeError:
        return None  # changed in place what a derivative needs, or freed
    try:
        loss = total(we)
        if not isinstance(loss, float):
            loss.backward()
    except REFUSED:
        return None
    return difference(seen(we), seen(they))


# -- again, and shorter ----------------------------------------------------------------


def wrong_with(program: Program) -> str | None:
    """What is wrong with a program; None too where PyTorch refuses a part of it."""
    they, we = theirs(), ours()
    for statement in program:
        try:
            run(they, statement)
        except Exception:
            return None
        try:
            run(we, statement)
        except REFUSED:
            return None
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    try:
        now = seen(they)
    except RuntimeError:
        return None
    return difference(seen(we), now) or _derivatives(they, we)


def shrunk(program: Program) -> Program:
    """The program without what it does not take to be wrong."""
    for i in reversed(range(len(program))):
        shorter = program[:i] + program[i + 1 :]
        if wrong_with(shorter) is not None:
            program = shorter
    return program


# -- compiled --------------------------------------------------------------------------


def compiled(program: Program, cut: int, engine: str, calls: int = 2) -> Outcome:
    """The program from its statement ``cut`` on as one compiled function.

    What it changes outside, and the new names that it returns, are as in PyTorch, call
    after call.
    """
    they, we = theirs(), ours()
    try:
        for statement in program[:cut]:
            run(they, statement)
            run(we, statement)
    except Exception:
        return Outcome(program)
    before = set(we)

    def body() -> dict[str, cr.Tensor]:
        inside = dict(we)
        for statement in program[cut:]:
            run(inside, statement)
        return {
            name: x
            for name, x in inside.items()
            if name not in before and isinstance(x, cr.Tensor)
        }

    function = cr.compile(body, engine=engine)
    for _ in range(calls):
        try:
            inside = dict(they)
            for statement in program[cut:]:
                run(inside, statement)
            wanted, outside = seen(inside), seen(they)
        except Exception:
            return Outcome(program)
        try:
            made = function()
            mine = seen(we)
        except REFUSED as error:
            return Outcome(program, ("", str(error)))
        except Exception as error:
            return Outcome(program, wrong=f"{type(error).__name__}: {error}")
        numbers = {k: np.array(x.detach().numpy()) for k, x in made.items()}
        outputs = {k: wanted[k] for k in numbers}
        wrong = difference(mine, outside) or difference(numbers, outputs)
        if wrong is not None:
            return Outcome(program, wrong=f"compiled by {engine} from {cut}: {wrong}")
    return Outcome(program)
