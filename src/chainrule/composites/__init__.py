"""Composites: operations made of primitives, such as softmax, with a formula.

A composite's derivative is that of its body, unless the composite declares another one.
The registry imports the files as it does those of :mod:`chainrule.primitives`.
"""

from chainrule.graph.primitive import declared_in

declared_in(
    __name__,
    *("activations", "normalization", "losses", "control", "checkpoint", "elementary"),
    "embedding",
    *("gamma", "normal", "bessel", "bessel_waves"),
)
