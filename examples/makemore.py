"""A network that reads names, letter by letter, and makes up more of them.

From the last three letters it predicts the next one: each letter is a row of a table
of embeddings, the three rows side by side go through a hidden layer,

    z = W⁽²⁾ tanh(W⁽¹⁾ [e(c₁), e(c₂), e(c₃)] + b⁽¹⁾) + b⁽²⁾,   p(next) = softmax(z),

and the loss is the cross-entropy of the letter that came. A batch is drawn inside the
compiled step: random numbers are part of the graph. New names are drawn letter by
letter from p.

Source: Bengio, Ducharme, Vincent, Jauvin 2003, "A neural probabilistic language model";
the names as a task after Andrej Karpathy, makemore (2022).

    python examples/makemore.py
"""

from __future__ import annotations

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim

NAMES = """
ada adam agnes albert alan alice alma amelia amos anna anton arthur astrid
barbara basil beatrice ben bernard bertha boris brenda bruno carl carla carmen carol
cecil celia clara claude cora daisy dan dara david della dennis diana dora doris edgar
edith edna edwin elena elias elinor ella elsa emil emma eric erna esther eva felix
fiona flora frank frida george gilda gloria grace greta gustav hanna harold hector
helen henry hilda hugo ida ines ingrid irene iris isaac ivan jacob jane jasper jean
joan john jonas josef judith julia karin karl kate klara lara laura lea lena leo leon
lewis lidia lina linus lisa lora louis lucas lucia lydia magda marco maria marina mark
marta martin mary matilda max maya mia mina mona nadia nancy nina nora norman olga
oliver olivia oscar otto paul paula peter petra philip rainer ralph rita robert robin
roland rosa ruth sally samuel sandra sara selma sigrid silvia simon sofia stella susan
teresa theo thomas tilda tom ulla ursula vera victor viola walter wanda willa
"""

LETTERS = ".abcdefghijklmnopqrstuvwxyz"  # the point begins and ends a name
CONTEXT, WIDTH, HIDDEN, BATCH = 3, 10, 64, 32


class Model(nn.Module):
    """The scores of the next letter, of three letters."""

    def __init__(self) -> None:
        self.table = nn.Embedding(len(LETTERS), WIDTH)
        self.hidden = nn.Linear(CONTEXT * WIDTH, HIDDEN)
        self.output = nn.Linear(HIDDEN, len(LETTERS))

    def forward(self, letters):
        rows = self.table(letters).flatten(1)
        return self.output(self.hidden(rows).tanh())


def examples() -> tuple[cr.Tensor, cr.Tensor]:
    """Every letter of every name, and the three before it."""
    contexts, nexts = [], []
    for name in NAMES.split():
        numbers = [0] * CONTEXT + [LETTERS.index(c) for c in name + "."]
        for i in range(CONTEXT, len(numbers)):
            contexts.append(numbers[i - CONTEXT : i])
            nexts.append(numbers[i])
    return cr.tensor(contexts), cr.tensor(nexts)


def setup(engine=None, dtype="float32", seed=0):
    """The model, and a function that makes step i and returns its loss."""
    cr.manual_seed(seed)
    model = Model().to(dtype)
    optimizer = optim.Adam(model.parameters(), lr=5e-3)
    x, y = examples()

    def step():
        rows = cr.randint(0, len(y), (BATCH,))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        return loss

    run_step = step if engine is None else cr.compile(step, engine=engine)
    return model, lambda i: run_step()


def sample(model, count=5, engine=None) -> list[str]:
    """New names, a letter at a time."""

    def next_letter(context):
        return cr.categorical(model(context))[0]

    if engine is not None:
        next_letter = cr.compile(next_letter, engine=engine)
    names = []
    with cr.no_grad():
        for _ in range(count):
            numbers = [0] * CONTEXT
            while len(numbers) < 20:
                numbers.append(next_letter(cr.tensor([numbers[-CONTEXT:]])).item())
                if numbers[-1] == 0:
                    break
            names.append("".join(LETTERS[i] for i in numbers).strip("."))
    return names


def run(engine=None, steps=2000, dtype="float32", seed=0) -> dict:
    """Train; the losses, and the loss over all letters at the end."""
    model, update = setup(engine, dtype, seed)
    losses = [update(i).item() for i in range(steps)]
    x, y = examples()
    with cr.no_grad():
        whole = F.cross_entropy(model(x), y).item()
    return {"losses": losses, "loss": whole, "names": sample(model, engine=engine)}


def main() -> None:
    """Train on the fastest engine and make up some names."""
    made = run("auto")
    print(f"cross-entropy {made['losses'][0]:.2f} → {made['loss']:.2f}", end=", ")
    print("that of guessing is ln 27 = 3.30")
    print("new names:", ", ".join(made["names"]))


if __name__ == "__main__":
    main()
