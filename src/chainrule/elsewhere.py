"""PyTorch's names that are not here, and what to write instead: for messages."""

#: Functions of torch that are methods of tensors here.
METHODS = (
    "argmax",
    "exp",
    "log",
    "log_softmax",
    "max",
    "mean",
    "min",
    "relu",
    "sigmoid",
    "softmax",
    "sqrt",
    "sum",
    "tanh",
)

#: Names of the package.
PACKAGE = {
    "arange": "cr.tensor(numpy.arange(n))",
    "cat": "cr.tensor(numpy.concatenate(arrays)) for data",
    "cuda": "nothing, all tensors are on the CPU",
    "device": "nothing, all tensors are on the CPU",
    "from_numpy": "cr.tensor(array)",
    "load": "cr.Trainer.load(path), or model.load_state_dict(…)",
    "ones": "cr.tensor(numpy.ones(shape))",
    "rand": "cr.uniform(*shape)",
    "randn": "cr.normal(*shape)",
    "randperm": "numpy.random.default_rng(seed).permutation(n)",
    "save": "trainer.save(path), or numpy.savez(path, **model.state_dict())",
    "stack": "cr.tensor(numpy.stack(arrays)) for data",
    "zeros": "cr.tensor(numpy.zeros(shape))",
}

#: Names of tensors.
TENSORS = {
    "all": "x.min()",
    "any": "x.max()",
    "clone": "cr.tensor(x), or x + 0 where gradients shall flow",
    "cpu": "x itself, all tensors are on the CPU",
    "cuda": "x itself, there are no GPUs here",
    "data": "x.detach(), or x.numpy()",
    "device": "nothing, all tensors are on the CPU",
    "dim": "x.ndim",
    "double": 'x.astype("float64")',
    "eq": "x == y",
    "expand": "x.broadcast_to(…)",
    "fill_": "x.copy_(numpy.full(x.shape, number))",
    "float": 'x.astype("float32")',
    "int": 'x.astype("int32")',
    "long": 'x.astype("int64")',
    "matmul": "x @ y",
    "mm": "x @ y",
    "norm": "(x * x).sum().sqrt()",
    "numel": "x.size",
    "pow": "x ** p",
    "std": "((x - x.mean()) ** 2).mean().sqrt()",
    "t": "x.T",
    "type": "x.dtype, or x.astype(…)",
    "uniform_": "nn.init.uniform_(x, a, b)",
    "var": "((x - x.mean()) ** 2).mean()",
    "view": "x.reshape(…)",
    "view_as": "x.reshape(y.shape)",
    "zero_": "x.copy_(numpy.zeros(x.shape))",
}
