"""The execution schedule of a graph: order, loop fusion and division among threads.

A graph says what is computed. The schedule says in which order, which nodes share one
loop, and how threads divide them; see ``maps``, ``horizontal_fusion``
and ``order``. It knows neither LLVM nor NumPy.
"""
