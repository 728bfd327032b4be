"""The writer of ONNX files: ``cr.export_onnx``.

A model is traced as ``cr.compile`` traces it. Its composites stay whole where ONNX has
one operator for them, and are opened where not; then each node is written by its row.

- ``export``: the function itself; `compilation.portable` makes the graph of a model;
- ``lowering``: the walk over a graph; ``table``: what a row is;
- ``rows``: the rows, by family. **A new primitive or composite is one row there**;
- ``emitter``: nodes, constants, sizes that have names; ``kernels``: element types;
- ``file``: the model as a message, checked and saved.

Only what turns a graph into a file belongs here: no model, no training, and nothing
that reads one.
"""
