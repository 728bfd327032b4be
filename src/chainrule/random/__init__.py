"""Random numbers and seeds; all draws use the primitive ``random_bits``.

A draw is a function of the seed, the name of the stream (module path and ordinal) and a
counter: it can be repeated alone, and the same seed gives the same bits on every engine
and platform.

``generator`` has the sources of random bits, ``distributions`` what is drawn of them,
``in_place`` the methods of tensors that draw.
"""

from chainrule.random import in_place
from chainrule.random.distributions import (
    bernoulli,
    categorical,
    gumbel,
    multinomial,
    normal,
    permutation,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    uniform,
)
from chainrule.random.generator import (
    Generator,
    bits,
    default_generator,
    get_rng_state,
    manual_seed,
    set_rng_state,
    stream,
)

__all__ = [
    "Generator",
    "bernoulli",
    "bits",
    "categorical",
    "default_generator",
    "get_rng_state",
    "gumbel",
    "in_place",
    "manual_seed",
    "multinomial",
    "normal",
    "permutation",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "set_rng_state",
    "stream",
    "uniform",
]
