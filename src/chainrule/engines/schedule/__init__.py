"""The schedule: order, loop fusion and division among threads of nodes.

A graph says what is computed. The schedule says in which order, which nodes share one
loop, and how threads divide them; see :mod:`chainrule.engines.schedule.maps`,
:mod:`chainrule.engines.schedule.together` and :mod:`chainrule.engines.schedule.order`.
It knows neither LLVM nor NumPy.
"""
