"""Migration hints: names in PyTorch and the like, and Chainrule's equivalents."""

from chainrule.text import _

_MEMORY = _("nothing, how elements lie in memory does not show")
_REAL = _("there are no complex numbers")
_PAIRS = _("nothing: complex signals are pairs of real numbers, (…, 2)")
_CPU = _("nothing, all tensors are on the CPU")
_ONE = _("nothing, a compiled step is one program")
_ALONE = _("nothing: one process computes, in as many threads as help")
_REPEATED = _("nothing: results are the same from run to run")

#: Names of the package.
PACKAGE = {
    "GradScaler": "loss.backward()",
    "amp": "cr.autocast(dtype=cr.bfloat16)",
    "ao": _("float32: there are no quantized numbers"),
    "as_strided": _("x.unfold(…) for windows, x.reshape(…), or x[…] with a step"),
    "lu": "cr.linalg.lu_factor(x)",
    "cfloat": _REAL,
    "channels_last": _MEMORY,
    "complex": "cr.stack([real, imag], -1)",
    "view_as_complex": _PAIRS,
    "view_as_real": _PAIRS,
    "complex64": _REAL,
    "complex128": _REAL,
    "contiguous_format": _MEMORY,
    "distributed": 'cr.Trainer(…, engine="xla", devices="all")',
    "float16": "cr.float32, cr.bfloat16",
    "fx": _("cr.compile(function), whose program can be printed"),
    "get_num_threads": _("cr.compile(function, threads=…)"),
    "half": "cr.float32, cr.bfloat16",
    "hub": _("cr.load(path), of a file in the safetensors format"),
    "initial_seed": "cr.random.default_generator.initial_seed()",
    "is_complex": _("False: there are no complex numbers"),
    "mps": _CPU,
    "multiprocessing": _("Python's multiprocessing, or DataLoader(…, num_workers=…)"),
    "onnx": _("cr.save(model.state_dict(), path)"),
    "preserve_format": _MEMORY,
    "profiler": "cr.compile(function).profile(*arguments)",
    "quantization": _("float32: there are no quantized numbers"),
    "repeat": _("x.repeat(2, 3), or cr.repeat_interleave(x, 2)"),
    "seed": "cr.manual_seed(seed)",
    "set_default_device": _CPU,
    "set_default_tensor_type": "cr.set_default_dtype(cr.float64)",
    "set_num_threads": _("cr.compile(function, threads=…)"),
    "set_printoptions": "numpy.set_printoptions(…)",
    "sparse": _("zeros in tensors: there are no sparse layouts"),
    "strided": _MEMORY,
    "use_deterministic_algorithms": _REPEATED,
    "xpu": _CPU,
}

#: Names of transforms.
FFT = {
    "hfft": "cr.fft.irfft(x * cr.tensor([1.0, -1.0]), n, norm='forward')",
    "ihfft": "cr.fft.rfft(x, n, norm='forward') * cr.tensor([1.0, -1.0])",
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
    "coalesce": _("x itself: there are no sparse layouts"),
    "data_ptr": "x.numpy().ctypes.data",
    "detach_": "x = x.detach()",
    "get_device": "x.device",
    "grad_fn": _("x.requires_grad; cr.explain shows how a number came about"),
    "half": "x.float(), x.bfloat16()",
    "is_complex": _("False: there are no complex numbers"),
    "is_contiguous": _("True: how elements lie in memory does not show"),
    "layout": _MEMORY,
    "share_memory_": _ALONE,
    "storage": "x.numpy()",
    "to_dense": _("x itself: there are no sparse layouts"),
    "to_sparse": _("x itself: there are no sparse layouts"),
    "resize_": _("x.reshape(…), or cr.zeros(size) for numbers of its own"),
    "resize_as_": _("x.reshape_as(y), or cr.zeros_like(y) for numbers of its own"),
    "stride": _MEMORY,
}

#: Methods of modules.
MODULES = {
    "compile": _("cr.compile(model), or a Trainer's optimizer and loss"),
    "device": _CPU,
    "evaluate": "cr.Trainer(model, …).evaluate(data)",
    "fit": "cr.Trainer(model, …).fit(data)",
    "half": _("model.float() or model.double()"),
    "predict": _("model.eval()(x), or cr.Trainer(model, …).predict(data)"),
    "save": _("cr.save(model.state_dict(), path)"),
    "share_memory": _ALONE,
    "summary": "cr.summary(model)",
    "weights": _("model.state_dict(), or model.parameters()"),
}

#: Layers, by how their names begin.
LAYERS = {
    "Adaptive": _("there are nn.AdaptiveAvgPool1d to 3d, nn.AdaptiveMaxPool1d to 3d"),
    "AvgPool": _("there are nn.AvgPool1d, nn.AvgPool2d and nn.AvgPool3d"),
    "Conv": _("there are nn.Conv1d to Conv3d, nn.ConvTranspose1d to ConvTranspose3d"),
    "DataParallel": _('the model itself, and Trainer(engine="xla", devices="all")'),
    "Dense": _("did you mean nn.Linear?"),
    "FullyConnected": _("did you mean nn.Linear?"),
    "GRU": _("there are nn.GRU and nn.GRUCell"),
    "LSTM": _("there are nn.LSTM and nn.LSTMCell"),
    "FractionalMaxPool": _("nn.MaxPool1d, nn.MaxPool2d or nn.MaxPool3d"),
    "MaxPool": _("there are nn.MaxPool1d, nn.MaxPool2d and nn.MaxPool3d"),
    "Parallel": _("the model itself: one process computes"),
    "RNN": _(
        "there are nn.RNN, nn.LSTM and nn.GRU; a cell of your own runs over the "
        "steps with cr.scan"
    ),
    "Modules": _("nn itself, as nn.Linear"),
    "Swish": _("did you mean nn.SiLU?"),
    "SyncBatchNorm": _("nn.BatchNorm1d, nn.BatchNorm2d or nn.BatchNorm3d"),
    "Transformer": _(
        "there are nn.Transformer, nn.TransformerEncoder and nn.TransformerDecoder"
    ),
}

#: Keywords of other libraries, and what takes their place here.
KEYWORDS = {
    "_use_new_zipfile_serialization": _("nothing, there is one format of files"),
    "accumulate_grad_batches": "trainer.fit(…, accumulate_grad_batches=…)",
    "assign": _("nothing: numbers are copied into the parameters"),
    "backend": "engine=…",
    "capturable": _ONE,
    "class_weight": "trainer.fit(…, class_weight=…)",
    "column_names": "feature_names=…",
    "device": _CPU,
    "differentiable": _ONE,
    "download": _("nothing, it is fetched where it is not there"),
    "ema_momentum": "cr.Trainer(…, ema_decay=…)",
    "dynamic": _("nothing, a second size is compiled for all sizes"),
    "fused": _ONE,
    "foreach": _ONE,
    "gradient_accumulation_steps": "trainer.fit(…, accumulate_grad_batches=…)",
    "fullgraph": _("nothing, a compiled function is always one graph"),
    "format": "data.read(frame, format=…)",
    "inputs": _("cr.gradients(loss, inputs)"),
    "label": "target=…",
    "learning_rate": "optimizer=optim.Adam(lr=…)",
    "layout": _MEMORY,
    "log_target": _("probabilities as the target: log_p.exp()"),
    "lr": "optimizer=optim.Adam(lr=…)",
    "map_location": _CPU,
    "max_epochs": "fit(train, epochs=…)",
    "memory_format": _MEMORY,
    "n_samples": _("the number of samples as the first argument"),
    "n_splits": "data.folds(k)",
    "num_workers": _("nothing, cr.data.Stream reads ahead in a thread"),
    "only_inputs": _("nothing, it is so"),
    "out": _("y = f(x), or y.copy_(f(x)) for a tensor that is there"),
    "pickle_module": _("nothing, files hold no code"),
    "mmap": _("nothing, files are read whole"),
    "pickle_protocol": _("nothing, files hold no code"),
    "pin_memory": _CPU,
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
    "use_ema": "cr.Trainer(…, ema_decay=0.99)",
    "validation_data": "validation=(x, y)",
    "validation_split": _("train, held = data.split(0.8, seed=0), and validation=held"),
    "volatile": "with cr.no_grad(): …",
    "verbose": _("progress=False for silence, progress=True for a display"),
    "weights_only": _("nothing, files hold no code"),
}

#: Keywords of what takes a data set, such as ``Trainer.fit``.
DATA_KEYWORDS = {
    "x": _("fit((x, y), epochs=…), or fit(cr.data.Dataset(x, y), epochs=…)"),
    "y": _("(x, y) as one argument, or cr.data.Dataset(x, y)"),
}

#: Names of ``optim``.
OPTIM = {
    "swa_utils": _("cr.Trainer(…, ema_decay=0.999), or p.lerp_(q, weight) in a loop"),
}

#: Names of ``utils``.
UTILS = {
    "tensorboard": _("history = trainer.fit(…), or a list of one's own in a loop"),
}

#: Names of ``utils.data``.
LOADING = {
    "DistributedSampler": _("a sampler of this file: every process has all rows"),
    "distributed": _("a sampler of this file: there is one process"),
}
