"""Interoperability with other libraries' files.

| file | what it holds |
|---|---|
| `serialization` | ``cr.save`` and ``cr.load``: nests of arrays as safetensors |
| `torch_weights` | ``cr.load_torch``: weights of PyTorch, without running pickles |
| `keras_weights` | ``cr.load_keras``: weights of Keras, by name or for a module |
| `weights` | what the readers of weights share |
| `onnx` | ``cr.export_onnx`` and ``cr.load_onnx`` |
"""
