"""Primitives: the basic operations of computation graphs, a file per family.

Who applies a primitive imports its file. The registry imports the others when it is
asked for a name that it does not know, or for all of them.
"""

from chainrule.graph.primitive import declared_in

declared_in(
    __name__,
    *("movement", "elementwise", "trigonometry", "integers", "creation", "reduce"),
    *("indexing", "sorting", "matmul", "conv", "windows", "linear_systems"),
    *("decompositions", "fourier", "random", "checks"),
)
