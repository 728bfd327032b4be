"""Interoperability with other libraries' files.

| file | what it holds |
|---|---|
| `serialization` | ``cr.save`` and ``cr.load``: nests of arrays as safetensors |
| `torch_weights` | ``cr.load_torch``: weights of PyTorch, without running pickles |
| `onnx` | ``cr.export_onnx`` and ``cr.load_onnx`` |
"""
