"""Weights of Keras, as arrays by name or for modules of the same layers.

| file | what it holds |
|---|---|
| `files` | ``.keras``, ``.weights.h5``: HDF5 by ``h5py``, without links to elsewhere |
| `layers` | the table of layers: names of both, layouts of the numbers, settings |
| `loading` | ``cr.load_keras`` |

A new layer is one function with a row in ``layers``. Nothing here builds a model from
what a file says.
"""
