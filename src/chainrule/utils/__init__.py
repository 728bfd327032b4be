"""PyTorch's ``torch.utils``: its data sets and loaders are in :mod:`.data`."""

from chainrule.utils import data

__all__ = ["data"]
