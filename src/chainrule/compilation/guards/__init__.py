"""Guards: outside objects that a traced function read, to recompile on a change.

``dependencies`` finds what the function may read there, ``sources`` reads it and
replaces it, ``fingerprints`` makes values of it that can be compared, and ``guards``
keeps these and detects changes.

Why a scan before the trace, and not a record of what was read while tracing
---------------------------------------------------------------------------
A record would be exact. Pure Python cannot take it on any version from 3.11 to 3.14:

- Neither ``sys.settrace`` with opcodes nor ``sys.monitoring`` shows the evaluation
  stack. At ``LOAD_ATTR`` and ``BINARY_SUBSCR`` the name is known, the object is not.
  A frame does not show its function either, so closure cells are out of reach.
- ``sys.setprofile`` shows calls, not reads, and ends a profile of ``cProfile`` that
  the user takes. ``sys.monitoring`` does not, and is missing in 3.11.
- ``__getattribute__`` can be replaced in classes of class statements alone: not in
  modules, functions, slots, ``SimpleNamespace``, lists and dictionaries. Meanwhile all
  threads have the changed classes.
- Objects that stand in for globals and attributes and note what is read of them are
  noticed: by ``type(k) is float``, ``isinstance``, ``is``, and by functions in C.
- Functions rewritten to note their reads need a compiler for the bytecode of each
  Python version, or the source, which a prompt and ``exec`` do not keep.

A record lacks two more things. What a function changes is refused, and that needs the
values *before* the trace, also of what is written and never read. And floats that
become inputs must be known before the trace that reads them.

The scan takes too much rather than too little: an attribute that the code names and
does not read costs a needless trace once it changes. It has no limits on the user's own
objects. It cannot see state within a package that only the package's functions read
(``numpy.get_printoptions()``), nor files and the network. Clocks, what is typed and the
system's random numbers have no state to compare: calls of these are noted while the
function is traced (:mod:`~chainrule.compilation.guards.moving_calls`).
"""
