"""The ONNX reader: from a file to a module that runs, trains, compiles and explains.

Nothing is executed while a file is read, and nothing outside its folder is opened. What
the file says becomes a :class:`~.graph.Graph` of :class:`~.graph.Node`, in which each
operator is a row of a table; :class:`~.module.ONNXModule` walks through it.

=====================  ===============================================================
``loading``            ``load_onnx``: a path, bytes or a ``ModelProto`` to a module
``file``               bytes to a ``ModelProto``, within limits
``numbers``            a ``TensorProto`` to an array, external data included
``graph``              graphs and nodes as they are evaluated
``parsing``            a ``GraphProto`` to a graph, each node with its row
``order``              nodes in an order in which they can run
``faults``             what is wrong, and what is unsupported, all at once
``names``              names of initializers to paths of parameters, and back
``table``              the table of operators: what a row is, and how it is called
``symbolic``           arithmetic on shapes of which sizes have names
``evaluation``         the walk through a graph
``roles``              which numbers are trained, which are saved
``module``             the module
``operators``          the rows, a file a family
=====================  ===============================================================

A new operator is one function in a file of ``operators``, under ``@operator("Name")``:
its positional arguments are the inputs, its keywords the attributes with the
standard's defaults. Rules for whole models go elsewhere; so does whatever writes files.
"""

from chainrule.interop.onnx.reader.loading import load_onnx

__all__ = ["load_onnx"]
