"""Migration hints: names in PyTorch and the like, and Chainrule's equivalents."""

from chainrule.text import _

#: Names of the package.
PACKAGE = {
    "autocast": _("nothing, numbers are computed in the dtype that they have"),
    "as_strided": _("x.unfold(…) for windows, x.reshape(…), or x[…] with a step"),
    "complex": _("there are no complex numbers"),
    "lu": "cr.linalg.lu_factor(x)",
    "float16": "cr.float32",
    "bfloat16": "cr.float32",
    "repeat": _("x.repeat(2, 3), or cr.repeat_interleave(x, 2)"),
}

#: Names of linear algebra.
LINALG = {
    **dict.fromkeys(
        ("eig", "eigvals"),
        _(
            "there are no complex numbers: cr.linalg.eigh(x) of symmetric matrices, "
            "cr.linalg.svd(x) of all"
        ),
    ),
    **dict.fromkeys(
        ("ldl_factor", "ldl_factor_ex", "ldl_solve"),
        "cr.linalg.lu_factor(x), cr.linalg.lu_solve(LU, pivots, b)",
    ),
    "matmul": "x @ y",
}

#: Names of tensors.
TENSORS = {
    "as_strided": _("x.unfold(…) for windows, x.reshape(…), or x[…] with a step"),
    "bfloat16": "x.float()",
    "data_ptr": "x.numpy().ctypes.data",
    "half": "x.float()",
    "is_contiguous": _("True: how elements lie in memory does not show"),
    "resize_": _("x.reshape(…), or cr.zeros(size) for numbers of its own"),
    "resize_as_": _("x.reshape_as(y), or cr.zeros_like(y) for numbers of its own"),
    "stride": _("nothing, how elements lie in memory does not show"),
}

#: Methods of modules.
MODULES = {
    "compile": _("cr.compile(model), or a Trainer's optimizer and loss"),
    "device": _("nothing, all tensors are on the CPU"),
    "evaluate": "cr.Trainer(model, …).evaluate(data)",
    "fit": "cr.Trainer(model, …).fit(data)",
    "half": _("model.float() or model.double()"),
    "predict": _("model.eval()(x), or cr.Trainer(model, …).predict(data)"),
    "save": _("cr.save(model.state_dict(), path)"),
    "summary": "cr.summary(model)",
    "weights": _("model.state_dict(), or model.parameters()"),
}

#: Layers, by how their names begin.
LAYERS = {
    "Adaptive": _("there are nn.AdaptiveAvgPool1d to 3d, nn.AdaptiveMaxPool1d to 3d"),
    "AvgPool": _("there are nn.AvgPool1d, nn.AvgPool2d and nn.AvgPool3d"),
    "Conv": _("there are nn.Conv1d to Conv3d, nn.ConvTranspose1d to ConvTranspose3d"),
    "Dense": _("did you mean nn.Linear?"),
    "FullyConnected": _("did you mean nn.Linear?"),
    "GRU": _("there are nn.GRU and nn.GRUCell"),
    "LSTM": _("there are nn.LSTM and nn.LSTMCell"),
    "FractionalMaxPool": _("nn.MaxPool1d, nn.MaxPool2d or nn.MaxPool3d"),
    "MaxPool": _("there are nn.MaxPool1d, nn.MaxPool2d and nn.MaxPool3d"),
    "RNN": _(
        "there are nn.RNN, nn.LSTM and nn.GRU; a cell of your own runs over the "
        "steps with cr.scan"
    ),
    "Swish": _("did you mean nn.SiLU?"),
    "Transformer": _(
        "there are nn.Transformer, nn.TransformerEncoder and nn.TransformerDecoder"
    ),
}

#: Keywords of other libraries, and what takes their place here.
KEYWORDS = {
    "class_weight": _("nn.CrossEntropyLoss(weight=…), or fit(…, sample_weight=…)"),
    "column_names": "feature_names=…",
    "device": _("nothing, all tensors are on the CPU"),
    "download": _("nothing, it is fetched where it is not there"),
    "fused": _("nothing, a compiled step is one program"),
    "foreach": _("nothing, a compiled step is one program"),
    "format": "data.read(frame, format=…)",
    "label": "target=…",
    "learning_rate": "optimizer=optim.Adam(lr=…)",
    "lr": "optimizer=optim.Adam(lr=…)",
    "map_location": _("nothing, all tensors are on the CPU"),
    "max_epochs": "fit(train, epochs=…)",
    "n_samples": _("the number of samples as the first argument"),
    "n_splits": "data.folds(k)",
    "num_workers": _("nothing, cr.data.Stream reads ahead in a thread"),
    "pickle_module": _("nothing, files hold no code"),
    "pickle_protocol": _("nothing, files hold no code"),
    "pin_memory": _("nothing, all tensors are on the CPU"),
    "random_state": "seed=…",
    "reduce": _("reduction='mean', 'sum' or 'none'"),
    "restore_best_weights": "restore_best=True",
    "sep": "delimiter=…",
    "shuffle": _("nothing, the order of each epoch is drawn from the seed"),
    "size_average": _("reduction='mean', 'sum' or 'none'"),
    "steps_per_epoch": _("fewer rows an epoch: train.take(n)"),
    "test_size": _("train, test = data.split(0.8, seed=0)"),
    "train_size": _("train, test = data.split(0.8, seed=0)"),
    "transform": _(
        "a function of arrays before Dataset(x, y), or nn layers of "
        "augmentation in the network"
    ),
    "validation_data": "validation=(x, y)",
    "validation_split": _("train, held = data.split(0.8, seed=0), and validation=held"),
    "verbose": _("progress=False for silence, progress=True for a display"),
    "weights_only": _("nothing, files hold no code"),
}

#: Keywords of what takes a data set, such as ``Trainer.fit``.
DATA_KEYWORDS = {
    "x": _("fit((x, y), epochs=…), or fit(cr.data.Dataset(x, y), epochs=…)"),
    "y": _("(x, y) as one argument, or cr.data.Dataset(x, y)"),
}
