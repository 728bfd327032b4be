"""Published architectures beside their references: names, shapes, outputs.

``reference.py`` asks torchvision, transformers and efficientnet_lite_pytorch, where
they are installed, and writes ``reference/``; the tests need none of them.
"""
