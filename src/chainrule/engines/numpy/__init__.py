"""The NumPy engine: a traced graph as straight-line Python over planned buffers."""
