"""ONNX files: `reader` makes a module of one."""
