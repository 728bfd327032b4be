"""ONNX files: ``cr.export_onnx`` writes them (:mod:`.writer`), ``cr.load_onnx`` reads
them (:mod:`.reader`).

What is specific to ONNX lives here and nowhere else: the correspondence between its
operators and ours, and the form of its files. Nothing here is imported before one of
the two is called, and neither knows the other.
"""
