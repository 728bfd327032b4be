"""Profiles: measured and predicted time of each step of an execution schedule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chainrule.engines.schedule.schedule import Schedule, Step
from chainrule.engines.schedule.work import flops, moved, written
from chainrule.graph.node import Node, Value
from chainrule.graph.text_writer import value_names
from chainrule.text import ngettext, tr
from chainrule.text.languages import language
from chainrule.text.numbers import width

#: Steps of which each takes a smaller share of the work are told of together.
SHOWN = 0.005
#: The least widths of the columns with numbers.
_COLUMNS = 8, 7, 11, 9, 10, 9, 7


@dataclass(frozen=True)
class Roof:
    """The peak performance of a machine (the roofline), for a number of threads.

    Attributes:
        gflops: billions of FLOPs a second in float32, fma by fma.
        gigabytes: read and written a second, of ``length`` bytes again and again.
        length: the bytes that a step touches.
    """

    gflops: float
    gigabytes: float
    length: int

    def microseconds(self, flops: float, length: int) -> float:
        """Return the least µs that some FLOPs and bytes take at peak performance."""
        return max(flops / self.gflops, length / self.gigabytes) / 1e3

    def __str__(self) -> str:
        return tr(
            "{gflops} GFLOP/s in fma, {gigabytes} GB/s through the {size} MB of a step",
            gflops=f"{self.gflops:,.0f}",
            gigabytes=f"{self.gigabytes:,.0f}",
            size=f"{self.length / 1e6:,.1f}",
        )


@dataclass(frozen=True)
class Measured:
    """A step of an execution schedule with its measured time, FLOPs and bytes.

    Attributes:
        step: its place and its division.
        phase: the number of its phase.
        microseconds: what it took in all rounds of a loop, waiting left out.
        waited: µs that the first thread waited for others before or within it.
        predicted: µs that it was expected to take.
        bytes: of what it reads and writes.
        flops: 2 for each multiply-add of a product, 1 for each other operation.
        least: µs that its FLOPs and bytes take at the roof.
        within: the steps of each body of a loop or of branches. They are part of it.
    """

    step: Step
    phase: int
    microseconds: float
    waited: float
    predicted: float
    bytes: int
    flops: int
    least: float
    within: tuple[tuple[Measured, ...], ...]

    @property
    def gflops(self) -> float:
        """The speed of a schedule's step: billions of operations per second."""
        return self.flops / max(self.microseconds, 1e-9) / 1e3

    @property
    def reached(self) -> float:
        """A step's share of the machine's peak performance: least / measured time."""
        return self.least / max(self.microseconds, 1e-9)

    @property
    def own(self) -> float:
        """The µs of a schedule's step itself, without the steps of its loop bodies."""
        return self.microseconds - sum(p.microseconds for b in self.within for p in b)

    def plain(self) -> dict[str, Any]:
        """Return all numbers of a measured schedule step as JSON values."""
        node = self.step.node
        return {
            "scope": node.scope,
            "does": self.step.does,
            "makes": [str(v.type) for v in written(node)],
            "phase": self.phase,
            "threads": self.step.who,
            "microseconds": self.microseconds,
            "waited": self.waited,
            "predicted": self.predicted,
            "bytes": self.bytes,
            "flops": self.flops,
            "of_roof": self.reached,
            "within": [[part.plain() for part in body] for body in self.within],
        }


@dataclass(frozen=True)
class Profile:
    """A profile: the measured time of each step of a schedule, for printing.

    Attributes:
        schedule: what ran, for the sizes and with the threads that it ran with.
        spent: µs of the first thread for each node, and between them (None): the
            fastest of many, since others use the machine too.
        waits: µs that it waited for other threads, in all (None) and at each node.
        fastest: µs of the fastest whole step.
        roof: what the machine reaches at most.
    """

    schedule: Schedule
    spent: Mapping[Node | None, float]
    waits: Mapping[Node | None, float]
    fastest: float
    roof: Roof

    @property
    def steps(self) -> list[Measured]:
        """The measured steps of a profile in execution order, loop bodies nested."""
        return list(self._measured(self.schedule))

    @cached_property
    def microseconds(self) -> float:
        """The µs of the profiled schedule's run, each part at its fastest of many."""
        parts = sum(part.microseconds for part in self.steps)
        return parts + self.rest + self.waited

    @property
    def waited(self) -> float:
        """The µs that the first thread waited for other threads in a profiled run."""
        return self.waits.get(None, 0.0)

    @property
    def rest(self) -> float:
        """The µs of a profiled run outside of its steps, such as copies of results."""
        return self.spent.get(None, 0.0)

    def _measured(self, schedule: Schedule) -> Iterator[Measured]:
        working = [[s for s in phase if not s.free] for phase in schedule.phases]
        for number, phase in enumerate(filter(None, working), 1):
            for step in phase:
                yield self._step(schedule, step, number)

    def _step(self, schedule: Schedule, step: Step, phase: int) -> Measured:
        node, times = step.node, schedule.times(step)
        bodies = tuple([tuple(self._measured(b)) for b in schedule.within(step)])
        within = [part for body in bodies for part in body]
        if bodies:
            least = sum(part.least for part in within)
            work = sum(p.bytes for p in within), sum(p.flops for p in within)
        else:
            work = moved(node, schedule.sizes), flops(node, schedule.sizes)
            # Half as many numbers of twice the bytes fit into a vector.
            width = max(v.dtype.itemsize for v in written(node)) / 4
            least = self.roof.microseconds(work[1] * width, work[0])
        return Measured(
            step=step,
            phase=phase,
            microseconds=self.spent.get(node, 0.0),
            waited=self.waits.get(node, 0.0),
            predicted=schedule.cost_of(step),
            bytes=work[0] * times,
            flops=work[1] * times,
            least=least * times,
            within=bodies,
        )

    def plain(self) -> dict[str, Any]:
        """Return a whole profile (measured times) as JSON values, in English."""
        with language("en"):
            steps = [part.plain() for part in self.steps]
        return {
            "entry": self.schedule.entry.name,
            "sizes": dict(self.schedule.sizes),
            "threads": self.schedule.machine.threads,
            "microseconds": self.microseconds,
            "fastest": self.fastest,
            "waited": self.waited,
            "rest": self.rest,
            "predicted": self.schedule.cost,
            "roof": vars(self.roof),
            "steps": steps,
        }

    def __str__(self) -> str:
        title = tr(
            "profile of {title}: {sum} µs a step with each part at its fastest, "
            "{fastest} the fastest step",
            title=self.schedule.title,
            sum=f"{self.microseconds:,.1f}",
            fastest=f"{self.fastest:,.1f}",
        )
        rows = [
            _head(),
            *self._rows(self.steps, self.schedule, ""),
            self._line(self.waited, tr("waiting for other threads")),
            self._line(self.rest, tr("between all these")),
        ]
        return "\n".join([title, tr("roof: {roof}", roof=self.roof), *_aligned(rows)])

    def _percent(self, microseconds: float) -> str:
        return f"{100 * microseconds / max(self.microseconds, 1e-9):.1f}"

    def _rows(
        self, parts: Sequence[Measured], schedule: Schedule, indent: str
    ) -> Iterator[list[str]]:
        """Yield a profile's table rows, one for each step, the slowest first."""
        names = value_names(schedule.entry.graph)
        parts = sorted(parts, key=lambda part: -part.microseconds)
        least = SHOWN * sum(part.microseconds for part in self.steps)
        shown = [p for p in parts if p.microseconds >= least]
        for part in shown or parts[:1]:
            yield [
                f"{part.microseconds:.2f}",
                self._percent(part.microseconds),
                f"{part.predicted:.2f}",
                f"{100 * part.reached:.0f} %",
                f"{part.gflops:.1f}",
                f"{part.bytes / 1e3:,.0f}",
                f"{part.phase}",
                indent + _described(part.step, names),
            ]
            bodies = schedule.within(part.step)
            for body, inner in zip(bodies, part.within, strict=True):
                yield from self._rows(inner, body, indent + "  · ")
            if part.own >= least and part.within:
                yield self._line(part.own, f"{indent}  · {tr('around them')}")
        left = parts[len(shown or parts[:1]) :]
        if left:
            total = sum(part.microseconds for part in left)
            expected = sum(part.predicted for part in left)
            what = indent + tr(ngettext("{n} other", "{n} others", n=len(left)))
            yield self._line(total, what, f"{expected:.2f}")

    def _line(self, microseconds: float, what: str, predicted: str = "") -> list[str]:
        """Return a row of a profile's table without FLOPs and bytes."""
        share = self._percent(microseconds)
        return [f"{microseconds:.2f}", share, predicted, "", "", "", "", what]


def _head() -> list[str]:
    """Return the column headings of a profile's table."""
    names = "µs", "%", tr("predicted"), tr("of roof"), "GFLOP/s", "kB", tr("phase")
    return [*names, tr("what")]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a profile's table rows as lines with aligned columns.

    A column is as wide as its longest number, so that slow steps keep their place.
    """
    columns = list(zip(*[row[:-1] for row in rows]))
    widths = [
        max(least, 1 + max(map(width, column)))
        for least, column in zip(_COLUMNS, columns, strict=True)
    ]
    return [
        "".join(" " * (n - width(cell)) + cell for n, cell in zip(widths, row))
        + f"  {row[-1]}"
        for row in rows
    ]


def _described(step: Step, names: Mapping[Value, str]) -> str:
    """Return a schedule's step as text: result, operation and threads."""
    node = step.node
    first, *others = written(node)
    result = f"{node.scope}: " if node.scope else ""
    result += f"%{names[first]}: {first.type}"
    if others:
        result += tr(" and {n} more", n=len(others))
    return tr("{made} = {does}, {who}", made=result, does=step.does, who=step.who)
