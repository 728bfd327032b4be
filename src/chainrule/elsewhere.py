"""PyTorch's names that are not here, and what to write instead: for messages."""

#: Names of the package.
PACKAGE = {
    "cuda": "nothing, all tensors are on the CPU",
    "device": "nothing, all tensors are on the CPU",
    "load": "cr.Trainer.load(path), or model.load_state_dict(…)",
    "save": "trainer.save(path), or numpy.savez(path, **model.state_dict())",
}

#: Names of tensors.
TENSORS = {
    "type": "x.dtype, or x.astype(…)",
    "uniform_": "nn.init.uniform_(x, a, b)",
}
