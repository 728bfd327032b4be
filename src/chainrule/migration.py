"""Migration hints: other libraries' names, and what to write instead."""

#: Names of the package.
PACKAGE = {
    "cuda": "nothing, all tensors are on the CPU",
    "device": "nothing, all tensors are on the CPU",
}

#: Names of tensors.
TENSORS = {
    "type": "x.dtype, or x.astype(…)",
    "uniform_": "nn.init.uniform_(x, a, b)",
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
