"""Sources of random bits: generators, streams of a training step, counts of draws."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.context import context, within
from chainrule.graph.types import DType, Shape, size_of
from chainrule.operations.arguments import shape_of
from chainrule.operations.device import check_device
from chainrule.operations.op import raises_call_error
from chainrule.operations.operands import full
from chainrule.primitives.random import named_key, random_bits, seed_key
from chainrule.tensor import Tensor, as_tensor, tensor, wrap
from chainrule.text import _
from chainrule.util import validation
from chainrule.util.blocks import opened, settle

P = ParamSpec("P")
T = TypeVar("T")
_LOW = (1 << 32) - 1


class Generator:
    """A random number generator with a key and a counter as its state.

    Args:
        seed: any integer from 0 to 2⁶⁴ − 1.
        device: the CPU; PyTorch's only argument.

    >>> import chainrule as cr
    >>> g = cr.Generator().manual_seed(1)
    >>> a = cr.rand(2, generator=g)
    >>> bool((a == cr.rand(2, generator=cr.Generator().manual_seed(1))).all())
    True
    """

    @raises_call_error
    def __init__(self, seed: Any = 0, *, device: Any = None) -> None:
        if isinstance(seed, str):  # Generator("cpu"), as in PyTorch
            seed, device = 0, seed
        check_device(device)
        self._seed = validation.seed("seed", seed)
        self.key = tensor(seed_key(self._seed))
        self.counter = tensor(np.uint32(0))
        self.key.name, self.counter.name = "random.key", "random.counter"

    @raises_call_error
    def manual_seed(self, seed: int) -> Generator:
        """Restart the random generator from a seed, in place."""
        self._seed = validation.seed("seed", seed)
        self.key.copy_(seed_key(self._seed))
        self.counter.copy_(np.uint32(0))
        return self

    def initial_seed(self) -> int:
        """Return the seed that the random generator was started from."""
        return self._seed

    def state(self) -> dict[str, np.ndarray]:
        """Return the random generator's key and counter, for a checkpoint."""
        return {"key": self.key.numpy(), "counter": self.counter.numpy()}

    @raises_call_error
    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the random generator's state that ``state`` returned, in place.

        Raises:
            ArgumentError: something else.
        """
        right = isinstance(state, Mapping) and {"key", "counter"} <= {*state}
        arrays = (
            [np.asarray(state[name]) for name in ("key", "counter")] if right else []
        )
        if [(a.dtype, a.shape) for a in arrays] != [(np.uint32, (2,)), (np.uint32, ())]:
            raise ArgumentError(
                _("A generator has another state."),
                expected=_("what generator.state() returned"),
                got=f"{state!r:.80}",
            )
        self.key.copy_(arrays[0])
        self.counter.copy_(arrays[1])

    def get_state(self) -> Tensor:
        """Return the random generator's seed, key and counter as bytes, uint8 (20,)."""
        words = *self.key.numpy(), self.counter.numpy()
        numbers = np.array([self._seed & _LOW, self._seed >> 32, *words], "<u4")
        return tensor(numbers.view(np.uint8))

    def set_state(self, new_state: Any) -> None:
        """Restore the state that :meth:`get_state` returned, in place."""
        given = as_tensor(new_state)
        if given.dtype is not DType.uint8 or given.shape != (20,):
            raise ArgumentError(
                _("The state of a generator is what get_state gave."),
                expected="uint8 (20,)",
                got=f"{given.dtype.name} {given.shape}",
            )
        low, high, *key, counter = given.numpy().view("<u4")
        self._seed = int(low) | int(high) << 32
        self.load_state({"key": np.array(key, np.uint32), "counter": counter})

    def words(self, first: int = 0) -> Words:
        """Return a draw of the generator that is computed later, as ``bits`` would."""
        key = (int(word) for word in self.key.numpy())
        k0, k1 = named_key(*key, context.scope)
        words = Words((int(k0[0]), int(k1[0])), int(self.counter.numpy()), first)
        self.counter.copy_(self.counter + 1)
        return words

    @raises_call_error
    def bits(self, shape: Shape) -> Tensor:
        """Return fresh random bits (uint32) of the generator; advance its counter.

        Raises:
            ShapeError: sizes that are no integers ≥ 0.
        """
        shape = shape_of(shape, _("Random numbers are drawn in a shape."))
        words = random_bits(
            self.key.value, self.counter.value, shape=shape, stream=str(context.scope)
        )
        self.counter.copy_(self.counter + 1)
        return wrap(words)


class Words(NamedTuple):
    """A stream of random words that are not computed yet: 32 bits at each position.

    Attributes:
        key: of the named stream, two words.
        counter: of the draw.
        first: the position of the first.
    """

    key: tuple[int, int]
    counter: int
    first: int


class NoBits:
    """A source of zeros in place of random bits, for weights to be overwritten.

    Args:
        most: how many are given altogether; None for any number.
    """

    def __init__(self, most: int | None = None) -> None:
        self.left = most

    def bits(self, shape: Shape) -> Tensor:
        """Return zeros in place of random bits, of a shape."""
        self.reserve(int(size_of(shape)))
        return wrap(full(0, DType.uint32, shape))

    def reserve(self, count: int) -> None:
        """Count the requested random numbers; raise an error beyond the limit."""
        if self.left is not None:
            self.left -= count
            if self.left < 0:
                raise ArgumentError(
                    _("More weights are asked for than there can be."),
                    got=_("{count:,} at once", count=count),
                )


class StepStream:
    """The random bits of one training step, by module, ordinal and step number.

    Args:
        key: uint32[2].
        step: uint32 scalar, the number of the step.
    """

    def __init__(self, key: Tensor, step: Tensor) -> None:
        self.key, self.step = key, step
        self.ordinals: dict[str, int] = {}

    def bits(self, shape: Shape) -> Tensor:
        """Return fresh random bits for the current module in a training step."""
        ordinal = self.ordinals.get(context.scope, 0)
        self.ordinals[context.scope] = ordinal + 1
        return wrap(
            random_bits(
                self.key.value,
                self.step.value,
                shape=shape,
                stream=f"{context.scope}#{ordinal}",
            )
        )


#: The process's generator, which draws unless a :func:`stream` surrounds the draw.
#: It belongs to no trace, though the first draw, and so this import, may be in one.
with within("trace", None):
    default_generator = Generator(0)


@raises_call_error
def manual_seed(seed: int) -> None:
    """Seed the process's default generator (initial weights, eager draws).

    Compiled functions that draw from it see the new seed, too.

    >>> import chainrule as cr
    >>> cr.manual_seed(1); a = cr.rand(2); cr.manual_seed(1); b = cr.rand(2)
    >>> bool((a == b).all())
    True
    """
    default_generator.manual_seed(seed)
    _Draws.by_process += 1  # what was drawn before is no matter any more


@raises_call_error
def get_rng_state() -> Tensor:
    """Return the state of the process's default generator, uint8 (20,).

    >>> import chainrule as cr
    >>> state = cr.get_rng_state(); a = cr.rand(2); cr.set_rng_state(state)
    >>> bool((a == cr.rand(2)).all())
    True
    """
    return default_generator.get_state()


@raises_call_error
def set_rng_state(new_state: Any) -> None:
    """Restore the state of the default generator that ``get_rng_state`` returned."""
    default_generator.set_state(new_state)
    _Draws.by_process += 1  # as after a new seed


@raises_call_error
def stream(source: Generator | StepStream | NoBits) -> within:
    """Set the source of this thread's random draws within a block.

    Raises:
        ArgumentError: what is no source of random bits.
    """
    if not isinstance(source, Generator | StepStream | NoBits):
        raise _no_source(source)
    return within("stream", source)


def _no_source(source: Any) -> ArgumentError:
    return ArgumentError(
        _("Random bits come from a generator."),
        expected="cr.Generator().manual_seed(0)",
        got=f"{source!r:.80}",
    )


@raises_call_error
def bits(shape: Shape) -> Tensor:
    """Return fresh random bits (uint32) from the current source.

    Raises:
        ShapeError: sizes that are no integers ≥ 0.
    """
    shape = shape_of(shape, _("Random numbers are drawn in a shape."))
    if context.stream is None:
        _draws.by_thread += 1
        _Draws.by_process += 1
    draw = (context.stream or default_generator).bits
    return draw(shape) if context.trace is None else context.trace.draw(shape, draw)


def words(*firsts: int) -> list[Words] | None:
    """Return a draw for each first position; None where bits are to be computed now.

    That is while a function is traced, and within a training step.
    """
    source = context.stream or default_generator
    if context.trace is not None or not isinstance(source, Generator):
        return None
    if context.stream is None:
        _draws.by_thread += len(firsts)
        _Draws.by_process += len(firsts)
    return [source.words(first) for first in firsts]


class _Draws(threading.local):
    """The numbers of draws from the default generator, per process and thread.

    Attributes:
        by_process, by_thread: the draws by all threads, and by this one.
    """

    by_process = 0

    def __init__(self) -> None:
        self.by_thread = 0


_draws = _Draws()


def draw_counts() -> tuple[int, int]:
    """Return the numbers of draws from the default random generator so far.

    See :func:`take_back_draws`.
    """
    return _Draws.by_process, _draws.by_thread


def take_back_draws(before: tuple[int, int]) -> None:
    """Rewind the default random generator after a refused call.

    Only eagerly, and only where no other thread has drawn meanwhile: within a compiled
    function draws are state, which a refused call leaves as it was.
    """
    count = _draws.by_thread - before[1]
    if count and context.trace is None and _Draws.by_process - before[0] == count:
        default_generator.counter.copy_(default_generator.counter - count)
        _Draws.by_process, _draws.by_thread = before


def drawing(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that draws: with ``generator=``, ``device=``, and refusals.

    The function names these two among its parameters, and finds the generator as the
    current source. A call that is refused leaves the default generator as it was.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        check_device(kwargs.pop("device", None))
        generator: Any = kwargs.pop("generator", None)
        if generator is not None:
            if not isinstance(generator, Generator):
                raise _no_source(generator)
            with stream(generator):
                return function(*args, **kwargs)
        before, outer = draw_counts(), opened.top
        try:
            return function(*args, **kwargs)
        except BaseException:
            settle(outer)
            take_back_draws(before)
            raise

    return call


def reserve(count: int) -> None:
    """Count weights that are copied, not drawn, if the random source has a limit."""
    if isinstance(context.stream, NoBits):
        context.stream.reserve(count)
