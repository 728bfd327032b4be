"""Functions of graph values under NumPy's rules, as compositions of primitives.

Promotion of dtypes, broadcasting, axes counted from the end, the one free size of a
reshape, indexing. A primitive itself takes operands of one shape and one dtype. The
methods of :class:`chainrule.Tensor` and the functions of the package are thin wrappers
of what stands here, eager or traced.
"""
