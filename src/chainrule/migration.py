"""Migration hints: other libraries' names, and what to write instead."""

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
    "ones": "cr.tensor(numpy.ones(shape))",
    "rand": "cr.uniform(*shape)",
    "randn": "cr.normal(*shape)",
    "randperm": "numpy.random.default_rng(seed).permutation(n)",
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

#: Methods of modules.
MODULES = {
    "compile": "cr.compile(model), or a Trainer's optimizer and loss",
    "cpu": "nothing, all tensors are on the CPU",
    "cuda": "nothing, all tensors are on the CPU",
    "device": "nothing, all tensors are on the CPU",
    "evaluate": "cr.Trainer(model, …).evaluate(data)",
    "fit": "cr.Trainer(model, …).fit(data)",
    "half": "model.float() or model.double()",
    "predict": "model.eval()(x), or cr.Trainer(model, …).predict(data)",
    "register_forward_hook": "cr.Trainer(…, probes=[…]), which record any value",
    "save": "cr.save(model.state_dict(), path)",
    "summary": "cr.summary(model)",
    "weights": "model.state_dict(), or model.parameters()",
}

#: Layers, by how their names begin.
LAYERS = {
    "Adaptive": "there is no pooling yet: nn.Flatten() and nn.Linear take images",
    "AvgPool": "there is no pooling yet: nn.Flatten() and nn.Linear take images",
    "BatchNorm2d": "there are no convolutions yet; nn.GroupNorm takes (N, C, H, W)",
    "Conv": "there are no convolutions yet: nn.Flatten() and nn.Linear take images",
    "Dense": "did you mean nn.Linear?",
    "FullyConnected": "did you mean nn.Linear?",
    "GRU": "there are no recurrent layers yet: write the cell of nn.Linear layers and "
    "run it over the steps with cr.scan",
    "LSTM": "there are no recurrent layers yet: write the cell of nn.Linear layers and "
    "run it over the steps with cr.scan",
    "MaxPool": "there is no pooling yet: nn.Flatten() and nn.Linear take images",
    "MultiheadAttention": "there is nn.functional.scaled_dot_product_attention",
    "RNN": "there are no recurrent layers yet: write the cell of nn.Linear layers and "
    "run it over the steps with cr.scan",
    "Swish": "did you mean nn.SiLU?",
    "Transformer": "there is nn.functional.scaled_dot_product_attention",
}
