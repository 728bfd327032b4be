"""The recipe ``lenet`` beside PyTorch: same data, weights to begin with, and settings.

python benchmarks/recipes/lenet.py --seeds 3
"""

from __future__ import annotations

from cnn import sides
from turns import arguments, compare

if __name__ == "__main__":
    compare(arguments(__doc__), "lenet", "LeNet-5 on digits", sides("lenet"))
