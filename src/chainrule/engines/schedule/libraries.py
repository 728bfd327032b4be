"""Primitives that the native engine leaves to NumPy, to its LAPACK and pocketfft."""

from chainrule.graph.primitive import Primitive
from chainrule.primitives import decompositions, fourier, linear_systems

#: They run as their references, on operands that lie row by row.
BY_NUMPY: tuple[Primitive, ...] = (
    linear_systems.solve,
    linear_systems.solve_triangular,
    linear_systems.lu,
    linear_systems.permutation,
    linear_systems.cholesky,
    linear_systems.det,
    linear_systems.cofactors,
    decompositions.qr,
    decompositions.eigh,
    decompositions.svd,
    decompositions.pinv,
    decompositions.matrix_exp,
    fourier.fft,
    fourier.rfft,
    fourier.irfft,
)
