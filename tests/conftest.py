"""For all tests: one BLAS thread a worker.

Workers run side by side already, and BLAS threads that wait for a core by spinning slow
all of them down many times over. Set before NumPy is imported, or it is too late.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
