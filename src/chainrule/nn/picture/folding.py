"""Repeated blocks of a network drawn once, with their number.

Blocks are folded only where nothing but their parameters' numbers tells them apart: the
same operations with the same attributes and shapes, joined alike. Each is fed by the
one before and by nothing that does not feed all of them, and read by the next alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import count

from chainrule.diagrams.parts import (
    NEXT_BLOCK,
    VALUE,
    Arrow,
    Box,
    Frame,
    Parts,
    in_frame,
)
from chainrule.graph.calls import Call
from chainrule.graph.graph import ancestors
from chainrule.graph.node import Value
from chainrule.nn.picture.wiring import Wiring, signature
from chainrule.text import tr

#: So many blocks in a row are folded.
FEWEST = 3


def fold(diagram: Parts) -> None:
    """Fold the repeated blocks of a diagram, and note which they are."""
    found = True
    while found:
        runs = (run for row in _rows(diagram) for run in _runs(diagram, row))
        found = next(runs, None)
        if found:
            _merge(diagram, found)


def _rows(diagram: Parts) -> Iterator[list[Frame]]:
    """Yield the module frames beside each other in one frame, inner ones last."""
    for outer in (None, *diagram.frames):
        row = [
            f
            for f in diagram.frames
            if f.outer is outer and isinstance(f.key, Call) and f.times == 1
        ]
        if len(row) >= FEWEST:
            yield row


def _runs(diagram: Parts, row: Sequence[Frame]) -> Iterator[list[Frame]]:
    boxes = {f: in_frame(diagram.boxes, f) for f in row}
    wiring = Wiring(diagram)
    wires = {f: wiring.inside(f.key, boxes[f]) for f in row}
    alike = {f: (_inside(diagram, f, boxes[f]), wires[f].structure) for f in row}
    start = 0
    while start < len(row):
        run = [row[start]]
        for frame in row[start + 1 :]:
            if alike[frame] != alike[run[0]] or not boxes[frame]:
                break
            run.append(frame)
        while len(run) >= FEWEST:
            blocks = [boxes[f] for f in run]
            given = [wires[f].given for f in run]
            if _chained(diagram, blocks) and wiring.joined_alike(blocks, given):
                yield run
                break
            run = run[:-1]
        start += max(len(run), 1)


def _inside(diagram: Parts, frame: Frame, boxes: Sequence[Box]) -> Hashable:
    """Return all that is drawn of a block, without the names of its modules."""
    index = {box: i for i, box in enumerate(boxes)}
    frames: dict[Frame | None, int] = {}
    numbers = count()

    def described(box: Box) -> Hashable:
        around = box.frame.all_outer() if box.frame else []
        inner = around[: around.index(frame)]
        for each in inner:
            if each not in frames:
                frames[each] = next(numbers)
        own = tuple(
            (frames[f], f.key.kind if isinstance(f.key, Call) else f.title)
            for f in inner
        )
        reads = tuple(p.shape for p in box.reads)
        work = tuple(map(signature, box.nodes)), tuple(map(_numbers, box.constants))
        return box.title, box.kind, box.symbol, own, reads, work

    arrows = sorted(
        (index[a.source], index[a.target], a.kind, a.label)
        for a in diagram.arrows
        if a.source in index and a.target in index
    )
    kind = frame.key.kind if isinstance(frame.key, Call) else ""
    return kind, tuple(described(box) for box in boxes), tuple(arrows)


def _numbers(constant: Value) -> Hashable:
    """Return what a value is computed from that is the same in every run."""
    return tuple(sorted(repr(signature(node)) for node in ancestors([constant])))


def _chained(diagram: Parts, blocks: Sequence[Sequence[Box]]) -> bool:
    """Return whether each block is fed by the one before and read by the next alone."""
    place = {
        box: (k, i) for k, block in enumerate(blocks) for i, box in enumerate(block)
    }
    fed: list[set[tuple[int, str, str]]] = [set() for __ in blocks]
    shared: list[set[tuple[Box, int, str]]] = [set() for __ in blocks]
    joints: list[set[tuple[int, int, str]]] = [set() for __ in blocks]
    for arrow in diagram.arrows:
        source, target = place.get(arrow.source), place.get(arrow.target)
        if source is not None and target is None:
            if source[0] != len(blocks) - 1:
                return False
        elif source is None and target is not None:
            shared[target[0]].add((arrow.source, target[1], arrow.label))
        elif source is not None and target is not None and source[0] != target[0]:
            if target[0] != source[0] + 1 or arrow.kind != VALUE:
                return False
            joints[target[0]].add((source[1], target[1], arrow.label))
            fed[target[0]].add((target[1], arrow.label, arrow.kind))
    first = {(i, label, VALUE) for __, i, label in shared[0]}
    others = shared[1:]
    if any(each != others[0] for each in others) or any(
        j != joints[1] for j in joints[1:]
    ):
        return False
    if not joints[1] or not others[0] <= shared[0]:
        return False
    rest = {(i, label, VALUE) for __, i, label in shared[0] - others[0]}
    return rest == fed[1] and first >= rest


def _merge(diagram: Parts, run: Sequence[Frame]) -> None:
    """Draw the blocks of a run as the first one of them."""
    blocks = [in_frame(diagram.boxes, frame) for frame in run]
    own = {box: twin for block in blocks[1:] for box, twin in zip(block, blocks[0])}
    first = set(blocks[0])
    kept: dict[tuple[Box, Box, str], Arrow] = {}
    for arrow in diagram.arrows:
        source = own.get(arrow.source, arrow.source)
        target = own.get(arrow.target, arrow.target)
        kind = arrow.kind
        blocks_differ = _block(blocks, arrow.source) != _block(blocks, arrow.target)
        if source in first and target in first and blocks_differ:
            kind = NEXT_BLOCK
        key = source, target, kind
        if key in kept:
            kept[key].values += arrow.values
        else:
            arrow.source, arrow.target, arrow.kind = source, target, kind
            kept[key] = arrow
    diagram.arrows = list(kept.values())
    total = sum(box.parameters for block in blocks for box in block)
    for box, twin in own.items():
        twin.nodes += box.nodes
    diagram.boxes = [box for box in diagram.boxes if box not in own]
    inner = [[f for f in diagram.frames if k in f.all_outer()] for k in run]
    for copy in inner[1:]:
        for frame, twin in zip(copy, inner[0]):
            twin.calls += frame.calls
    gone = {f for f in diagram.frames if any(o in run[1:] for o in f.all_outer())}
    diagram.frames = [f for f in diagram.frames if f not in gone]
    head, kind = run[0], run[0].key.kind
    names = str(run[0].key), str(run[-1].key)
    head.times = len(run)
    head.title = kind if names[0] == names[1] else f"{names[0]} … {names[1]} · {kind}"
    diagram.notes.append(
        tr(
            "{title}: {n} alike, one after the other, drawn once; {total} parameters"
            " together.",
            title=head.title,
            n=len(run),
            total=f"{total:,}",
        )
    )


def _block(blocks: Sequence[Sequence[Box]], box: Box) -> int | None:
    return next((k for k, block in enumerate(blocks) if box in block), None)
