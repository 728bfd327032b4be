"""Functions as files: a graph with its weights that needs none of its Python.

- ``example``: a call with its sizes, some with names, and its trace; ``agreement``:
  whether that is right for other sizes than the example's;
- ``function``: ``Portable``, what a file says, whichever format it has; the ONNX writer
  starts from it too;
- ``file``: the format of program files, written and read;
- ``loaded``: ``cr.load_program``, which calls one.

A graph that changes state, or draws random numbers, is none of these: refused. What
reads a file trusts nothing in it, and executes nothing of it.
"""
