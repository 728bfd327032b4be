"""What a schedule took: each step's time beside what was predicted, and its work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chainrule.engines.schedule.machine import bytes_of, multiply_adds
from chainrule.engines.schedule.schedule import Schedule, Step, described
from chainrule.graph.node import Node, Value
from chainrule.graph.text_writer import value_names
from chainrule.graph.types import Sizes


@dataclass(frozen=True)
class Measured:
    """A step of a schedule as it ran.

    Attributes:
        step: its place, its division, and the µs that were predicted.
        microseconds: what it took.
        bytes: of what it reads and writes.
        flops: 2 for each multiply-add of a product, 1 for each result of other nodes.
    """

    step: Step
    microseconds: float
    bytes: int
    flops: int

    @property
    def gflops(self) -> float:
        """Billions of operations a second."""
        return self.flops / max(self.microseconds, 1e-9) / 1e3


@dataclass(frozen=True)
class Profile:
    """What each step of a schedule took; ``print(profile)`` shows the longest first.

    Attributes:
        schedule: what ran.
        ticks: what the processor counted for each node.
        microseconds: what all of it took.
        sizes: the sizes it ran for.
    """

    schedule: Schedule
    ticks: Mapping[Node, int]
    microseconds: float
    sizes: Sizes

    @property
    def steps(self) -> list[Measured]:
        """The steps in running order."""
        total = sum(self.ticks.get(s.node, 0) for s in self.schedule.steps) or 1
        each = self.microseconds / total
        return [
            Measured(
                step,
                self.ticks.get(step.node, 0) * each,
                sum(bytes_of(v, self.sizes) for v in _touched(step.node)),
                _flops(step.node, self.sizes),
            )
            for step in self.schedule.steps
            if not step.free
        ]

    def __str__(self) -> str:
        names = value_names(self.schedule.entry.graph)
        lines = [
            f"profile of {self.schedule.entry.name}, {self.microseconds:.1f} µs a step",
            "      µs      %  predicted   GFLOP/s     kB",
        ]
        for part in sorted(self.steps, key=lambda m: -m.microseconds):
            share = 100 * part.microseconds / self.microseconds
            lines.append(
                f"{part.microseconds:8.2f} {share:6.1f} {part.step.cost:10.2f}"
                f" {part.gflops:9.1f} {part.bytes / 1e3:6.0f}"
                f"  {described(part.step, names)}"
            )
        return "\n".join(lines)


def _touched(node: Node) -> list[Value]:
    return [v for v in (*node.inputs, *node.outputs) if v is not None]


def _flops(node: Node, sizes: Sizes) -> int:
    products = multiply_adds(node, sizes)
    if products:
        return 2 * products
    return sum(bytes_of(v, sizes) // v.dtype.itemsize for v in node.outputs if v)
