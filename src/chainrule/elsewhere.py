"""PyTorch's names that are not here, and what to write instead: for messages."""

#: Names of the package.
PACKAGE = {
    "autocast": "nothing, numbers are computed in the dtype that they have",
    "cdist": "((x[:, None] - y) ** 2).sum(-1).sqrt()",
    "complex": "there are no complex numbers",
    "cross": "products of x[..., [1, 2, 0]] and y[..., [2, 0, 1]]",
    "cuda": "nothing, all tensors are on the CPU",
    "device": "nothing, all tensors are on the CPU",
    "float16": "cr.float32",
    "bfloat16": "cr.float32",
    "fmod": "x - (x / y).trunc() * y; x % y has the sign of y",
    "is_tensor": "isinstance(x, cr.Tensor)",
    "load": "cr.Trainer.load(path), or model.load_state_dict(…)",
    "logspace": "base ** cr.linspace(start, end, steps)",
    "save": "trainer.save(path), or numpy.savez(path, **model.state_dict())",
    "set_default_dtype": "dtype=… where a tensor is made",
    "std_mean": "x.std(dim), x.mean(dim)",
    "unique": "cr.unique_values(x), cr.unique_inverse(x) or cr.unique_counts(x)",
    "var_mean": "x.var(dim), x.mean(dim)",
}

#: Names of tensors.
TENSORS = {
    "bfloat16": "x.float()",
    "data_ptr": "x.numpy().ctypes.data",
    "equal": "bool((x == y).all())",
    "half": "x.float()",
    "is_contiguous": "True: how elements lie in memory does not show",
    "is_cuda": "False, all tensors are on the CPU",
    "nonzero": "cr.nonzero(x), an index for each axis",
    "normal_": "nn.init.normal_(x, mean, std)",
    "register_hook": "probes of a compiled step, or cr.grad of a function",
    "stride": "nothing, how elements lie in memory does not show",
    "type": "x.dtype, or x.astype(…)",
    "uniform_": "nn.init.uniform_(x, a, b)",
    "unique": "cr.unique_values(x), cr.unique_inverse(x) or cr.unique_counts(x)",
}
