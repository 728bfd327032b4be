"""The package's functions of tensors: ``cr.exp``, ``cr.concat`` …

Names and arguments are those of the Python array API standard 2024.12 where it lists
the function, and PyTorch's beside it. Where the two mean different things by one name
(``max``, ``sort``, ``var``) the function follows the standard, and refuses PyTorch's
keyword ``dim``; the method of the tensor follows PyTorch.
"""
