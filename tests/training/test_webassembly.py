"""Python in WebAssembly: without llvmlite, and without modules of a system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

#: What Python in a browser has not.
ABSENT = (
    *("fcntl", "msvcrt", "grp", "pwd", "resource", "syslog", "termios"),
    *("llvmlite", "threadpoolctl"),
)
PROGRAM = """
import sys

for name in {absent!r}:
    sys.modules[name] = None
import numpy as np

import chainrule as cr
from chainrule import nn

cr.manual_seed(0)
rng = np.random.default_rng(0)
x = rng.normal(size=(64, 2)).astype(np.float32)
y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
loss, optimizer = nn.CrossEntropyLoss(), cr.optim.Adam(lr=0.05)
trainer = cr.Trainer(model, loss=loss, optimizer=optimizer)
trainer.fit((x, y), epochs=20, batch_size=16, checkpoint="run", progress=False)
assert trainer.engine == "numpy"
assert trainer.evaluate((x, y))["accuracy"] > 0.9
again = cr.Trainer.load("run")
again.resume((x, y), epochs=21, checkpoint="run", progress=False)
print(again.optimizer.steps)
print(cr.explain(model, x[:1], y[:1], loss).check())
"""


def test_a_network_trains_is_saved_and_explained(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(absent=ABSENT)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("84\n")
