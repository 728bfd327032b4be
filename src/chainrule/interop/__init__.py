"""Interoperability with other libraries' files: `serialization` for tensors, `onnx`."""
