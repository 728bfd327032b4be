"""The source of a stream's samples: opened for each pass, checked sample by sample.

A source that knows its position (``state_dict``, or an index) is opened there when a
run goes on; any other one is read again from its first sample.
"""

import itertools
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.data.checks import check_nest, numbers, shortened, targets
from chainrule.data.column import unrepresentable
from chainrule.data.positions import Position, portable, restored
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    DataError,
    ShapeError,
    warn,
)
from chainrule.graph.types import NO_SIZES, NUMPY_DTYPES, ArrayType, resolve
from chainrule.text import _, joined, ngettext
from chainrule.util.pytree import is_nest, leaves, mapped, named

#: Features and targets of some rows: arrays, or dictionaries and tuples of arrays.
Pair = tuple[Any, Any]
#: The arrays of some rows, by name: ``x``, or ``x.image`` of several.
Parts = dict[str, np.ndarray]
Stopped = Callable[[], bool]
#: Dtypes that engines read as they are; all others become float32 at once.
STORED = frozenset(dtype.numpy for dtype in NUMPY_DTYPES)


class Source:
    """A data stream's source: a function that opens an iterable of samples.

    Args:
        make: the function; or an object that can be run through again and again, or a
            sequence.
        batched: whether the items are batches.
        name: of the stream, for messages.

    Attributes:
        first_number: the number of the first sample that was read, of those that have
            numbers.

    Raises:
        ArgumentError: something that is no function.
    """

    def __init__(self, make: Callable[[], Any], batched: bool, name: str) -> None:
        again = hasattr(make, "__iter__") and not hasattr(make, "__next__")
        self.sequence = hasattr(make, "__getitem__") and hasattr(make, "__len__")
        if isinstance(make, str | Mapping) or not (
            callable(make) or again or self.sequence
        ):
            raise _not_a_function(make)
        self.make, self.batched, self.name = make, batched, name
        self._opened: Any = None
        self._first: Pair | None = None
        self.first_number: Any = 0

    def first(self) -> Pair:
        """Return the first row of a data stream; the first time, read it."""
        first = self._first
        if first is None:
            pieces = self.pieces(self._open(None)[0], lambda: False)
            piece = next(pieces, None)
            pieces.close()
            if piece is None:
                raise self.empty()
            __, names, parts = piece
            first = mapped(lambda name: parts[name][:1].copy(), names)
            self._first = first
            self.first_number = getattr(self.make, "first_number", 0)
        return first

    @staticmethod
    def is_stateful(opened: Any) -> bool:
        """Return whether an opened source tells where it stands, and can go there."""
        return hasattr(opened, "state_dict") and hasattr(opened, "load_state_dict")

    def pieces(
        self,
        items: Iterator[Any],
        stopped: Stopped,
        number: int = 0,
        *,
        place: Callable[[int], int] = lambda count: count,
    ) -> Generator[tuple[int, Pair, Parts]]:
        """Yield a data stream's items: number of the row, form, and rows by name.

        The form of an item is the nest of the names of its arrays, for x and for y.

        Args:
            items: of the opened source.
            stopped: asked before each item of the source; it ends the generator.
            number: of the first row.
            place: where in the pass a row of this number is, for errors.
        """
        try:
            while not stopped():
                try:
                    item = next(items)
                except StopIteration:
                    return
                except ChainruleError as error:
                    raise self._numbered(place(number), error) from error
                except Exception as error:
                    raise self._failed(place(number), error) from error
                names, parts = self._rows(place(number), item)
                yield number, names, parts
                number += _length(parts)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def blocks(
        self, rows: int, types: Pair, stopped: Stopped, at: Position | None = None
    ) -> Iterator[tuple[Pair, Position | None, Position | None]]:
        """Yield a data stream's rows in blocks of equal size, the last one smaller.

        Args:
            rows: of a block.
            types: of a row of x, and of a row of y.
            stopped: whether nobody wants more.
            at: the position to begin at; None for the first sample.

        Returns:
            A generator of blocks, the first of a pass with the position at which it
            begins, each with the position behind it.
        """
        at = at or {"rows": 0, "state": None, "left": {}}
        begins = not at["rows"] and not at["left"]
        items, state_of = self._open(at["state"], new=begins)
        total, left = at["rows"], at["left"] or None  # of a batch that was cut
        pieces = self.pieces(items, stopped, total + _length(at["left"]))
        form = (named(types[0], "x"), named(types[1], "y"))
        of_rows = leaves(types[0], "x") | leaves(types[1], "y")

        def empty(t: ArrayType) -> np.ndarray:
            return np.empty((rows, *resolve(t.shape, NO_SIZES)), t.dtype.numpy)

        def position() -> Position | None:
            if state_of is None:
                return None
            kept = {name: part.copy() for name, part in (left or {}).items()}
            return {"rows": total, "state": state_of(), "left": kept}

        def block() -> Pair | None:
            nonlocal left, total, first
            whole, done = {name: empty(t) for name, t in of_rows.items()}, 0
            while done < rows:
                if left is None:
                    piece = next(pieces, None)
                    if piece is None:
                        break
                    number, names, left = piece
                    if first is None and begins:
                        first = position()  # before it a source may have no state
                    self.check_like_first(number, form, of_rows, names, left)
                length = _length(left)
                count = min(length, rows - done)
                for name, part in left.items():
                    whole[name][done : done + count] = part[:count]
                left = (
                    {name: part[count:] for name, part in left.items()}
                    if count < length
                    else None
                )
                done += count
            if not done or stopped():
                return None
            total += done
            return mapped(lambda name: whole[name][:done], form)

        first: Position | None = None
        pair = block()
        begins = False
        if pair is None and not at["rows"] and not stopped():
            raise self.empty()
        while pair is not None:
            yield pair, first, position()
            first = None
            del pair  # the block is the consumer's alone
            pair = block()

    def check_like_first(
        self,
        number: int,
        form: Pair,
        kinds: Mapping[str, ArrayType],
        names: Pair,
        parts: Parts,
    ) -> None:
        """Refuse a sample of another form, shape or dtype than the first one.

        Args:
            number: its row.
            form, kinds: the names of arrays of the first one, and the types of its row.
            names, parts: the names of its arrays, and these.

        Raises:
            DataError: it differs.
        """
        if names != form:
            raise self._other_form(number, form, names)
        for name, part in parts.items():
            kind = kinds[name]
            if (part.shape[1:], part.dtype) != (kind.shape, kind.dtype.numpy):
                raise self._other_type(number, name, kind, part)

    def _other_form(self, number: int, form: Pair, names: Pair) -> DataError:
        what = 0 if names[0] != form[0] else 1
        first, here = (
            ", ".join(leaves(nest[what], "xy"[what]).values()) for nest in (form, names)
        )
        fix = _("give all samples the same inputs and targets")
        return self._unlike(number, "xy"[what], first, here, fix)

    def _other_type(
        self, number: int, name: str, kind: ArrayType, got: np.ndarray
    ) -> DataError:
        return self._unlike(
            number,
            name,
            _(
                "shape {shape}, dtype {name}",
                shape=kind.shape,
                name=kind.dtype.name,
            ),
            _(
                "shape {shape}, dtype {dtype}",
                shape=got.shape[1:],
                dtype=got.dtype,
            ),
            _(
                "give all samples one shape and one dtype: "
                "numpy.asarray(x, dtype='float32')"
            ),
        )

    def _unlike(
        self, number: int, what: str, expected: str, got: str, fix: str
    ) -> DataError:
        return DataError(
            _(
                "Sample {number} of the stream '{name}' is not like the "
                "first one: {what} differs.",
                number=number,
                name=self.name,
                what=what,
            ),
            expected=expected,
            got=got,
            fix=fix,
        )

    def _open(
        self, state: Any, *, new: bool = False
    ) -> tuple[Iterator[Any], Callable[[], Any] | None]:
        """Open the source, at a state if one is given.

        Args:
            state: of a position.
            new: whether it is that of the end of the pass before.

        Returns:
            The items, and a function for the state behind the last one, if it has any.
        """
        state_of = None
        try:
            opened: Any = self.make() if callable(self.make) else self.make
            if self.is_stateful(opened):
                state_of = lambda: portable(opened.state_dict())  # noqa: E731
                if state is not None:
                    opened.load_state_dict(restored(state))
                items = iter(opened)
                if state is not None and new and (head := next(items, self)) is self:
                    items = iter(opened)  # there was nothing behind the end
                elif state is not None and new:
                    items = itertools.chain([head], items)
            elif self.sequence and not callable(self.make):
                items = _Items(opened, 0 if state is None or new else state["index"])
                state_of = items.state
            else:
                items = iter(opened)
        except ChainruleError:
            raise
        except Exception as error:
            raise DataError(
                _(
                    "The source of the stream '{name}' cannot be opened.",
                    name=self.name,
                ),
                expected=_("a function that returns an iterable of samples (x, y)"),
                got=shortened(f"{type(error).__name__}: {error}", 200),
                fix=_("def samples(): ... yield x, y; then Stream(samples)"),
            ) from error
        if items is self._opened:
            raise ArgumentError(
                _(
                    "The source of the stream '{name}' can be run through only once.",
                    name=self.name,
                ),
                expected=_("a function that opens it anew for each epoch"),
                got=_("the same {kind} as before", kind=type(items).__name__),
                fix=_("make it inside of the function: Stream(lambda: samples())"),
            )
        self._opened = items
        return items, state_of

    def _rows(self, number: int, item: Any) -> tuple[Pair, Parts]:
        """Convert one item of a data stream to rows of its arrays, and its form."""
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DataError(
                _(
                    "Sample {number} of the stream '{name}' is no pair (x, y).",
                    number=number,
                    name=self.name,
                ),
                expected=_("a tuple of features and a target"),
                got=shortened(f"{type(item).__name__}: {item!r}"),
                fix=_("yield x, y"),
            )
        try:
            x, y = item
            for what, part in (("x", x), ("y", y)):
                if is_nest(part):
                    check_nest(part, what)
            names = (named(x, "x"), named(y, "y"))
            parts = {k: _stored(numbers(a, k), a) for k, a in leaves(x, "x").items()}
            parts |= {k: _target(k, a) for k, a in leaves(y, "y").items()}
        except ChainruleError as error:
            raise self._numbered(number, error) from error
        if any(0 in a.shape for a in parts.values()):
            got = [_("{k} of shape {s}", k=k, s=a.shape) for k, a in parts.items()]
            raise DataError(
                _(
                    "Sample {number} of the stream '{name}' is empty.",
                    number=number,
                    name=self.name,
                ),
                expected=_("at least one value in x and in y"),
                got=joined(_(" and "), got),
                fix=_("leave out what is empty: if len(x): yield x, y"),
            )
        if not self.batched:
            return names, {name: a[None] for name, a in parts.items()}
        sizes = {a.shape[:1] for a in parts.values()}
        if len(sizes) != 1 or () in sizes:
            got = [_("{k} of shape {s}", k=k, s=a.shape) for k, a in parts.items()]
            raise ShapeError(
                _(
                    "The batch at sample {number} of the stream '{name}' does not "
                    "hold as many targets as samples.",
                    number=number,
                    name=self.name,
                ),
                expected=_("x of shape (rows, …) and y of shape (rows, …)"),
                got=joined(_(" and "), got),
                fix=_("without batched=True each item is one sample"),
            )
        return names, parts

    def _numbered(self, number: int, error: ChainruleError) -> ChainruleError:
        return type(error)(
            _(
                "Sample {number} of the stream '{name}': {what}",
                number=number,
                name=self.name,
                what=error.what,
            ),
            expected=error.expected,
            got=error.got,
            fix=error.fix,
        )

    def _failed(self, number: int, error: Exception) -> DataError:
        return DataError(
            _(
                "The source of the stream '{name}' failed at sample {number} "
                "(counting from 0).",
                name=self.name,
                number=number,
            ),
            expected=_("the next pair (x, y)"),
            got=shortened(f"{type(error).__name__}: {error}", 200),
            fix=_(
                "the error above this one says where; run through the source "
                "alone to find out"
            ),
        )

    def ended(self, rows: int, before: int) -> DataError:
        """Return the error for a pass that is shorter than before."""
        return DataError(
            _("The stream '{name}' has fewer samples than before.", name=self.name),
            expected=ngettext(
                "more than {n} sample in a pass",
                "more than {n} samples in a pass",
                n=before,
            ),
            got=str(rows),
            fix=_("go on with the data that the run began with"),
        )

    def other_count(self, number: int, asked: int, got: int) -> DataError:
        """Return the error for samples asked for by index of which some are missing."""
        return DataError(
            _(
                "The data set of the stream '{name}' gives another number of samples "
                "than it is asked for, at sample {number}.",
                name=self.name,
                number=number,
            ),
            expected=ngettext(
                "{n} sample, for the index", "{n} samples, one for each index", n=asked
            ),
            got=str(got),
            fix=_("return a sample for each index; a sampler leaves samples out"),
        )

    def empty(self) -> DataError:
        """Return the error for a data stream without samples."""
        return DataError(
            _("The source of the stream '{name}' has no samples.", name=self.name),
            expected=_("at least one pair (x, y)"),
            got=_("the end of the iterable at once"),
            fix=_(
                "a function that gives something the first time only has to "
                "open its source anew: Stream(lambda: samples())"
            ),
        )


class _Items(Iterator[Any]):
    """The items of a sequence from an index on."""

    def __init__(self, sequence: Any, index: int) -> None:
        self.sequence, self.index = sequence, index

    def state(self) -> dict[str, int]:
        """Return the index of the next item."""
        return {"index": self.index}

    def __next__(self) -> Any:
        if self.index >= len(self.sequence):
            raise StopIteration
        self.index += 1
        try:
            return self.sequence[self.index - 1]
        except StopIteration as error:  # which would end the pass in silence
            raise RuntimeError(_("a sample raised StopIteration")) from error


def _length(parts: Parts) -> int:
    """Return the number of rows of arrays by name; of none 0."""
    return len(next(iter(parts.values()))) if parts else 0


def rows_of(nest: Any) -> int:
    """Return the number of rows of arrays that go together."""
    while is_nest(nest):
        nest = next(iter(nest.values())) if isinstance(nest, Mapping) else nest[0]
    return len(nest)


def _stored(x: np.ndarray, item: Any) -> np.ndarray:
    """Convert a data stream's features to a dtype that engines read."""
    if x.dtype in STORED and not isinstance(item, list | tuple | int | float):
        return x
    if (number := unrepresentable(x, np.dtype(np.float32))) is not None:
        warn(
            _(
                "A stream's numbers from lists become float32, which has not all "
                "of them."
            ),
            expected=_("whole numbers up to 2²⁴, or arrays, whose dtype stays"),
            got=f"{number}",
            fix=_("yield np.array(x, np.float64), or an int64 array"),
        )
    return x.astype(np.float32)


def _target(what: str, item: Any) -> np.ndarray:
    """Convert a data stream's target to a dtype that losses take."""
    if type(item) is int and -(2**31) <= item < 2**31:  # a label: the usual case
        return np.asarray(item, np.int32)
    y = numbers(item, what)
    return y.astype(np.float32) if type(item) is float else targets(y)


def _not_a_function(make: Any) -> ArgumentError:
    kind = type(make).__name__
    if hasattr(make, "__next__"):
        got = _("a {kind}, which can be run through only once", kind=kind)
        fix = _(
            "pass the function that makes it: Stream(samples), not Stream(samples())"
        )
    elif hasattr(make, "__iter__"):
        got, fix = f"a {kind}", "Stream(lambda: rows)"
    else:
        got, fix = f"{kind}: {shortened(repr(make))}", "Stream(samples)"
    return ArgumentError(
        _("A stream is opened anew for each epoch, so it needs a function."),
        expected=_(
            "a function without arguments that returns an iterable of samples; or an "
            "object whose __iter__ begins anew, or a sequence"
        ),
        got=got,
        fix=fix,
    )
