"""Published PyTorch weights as arrays, read without running anything.

A file of PyTorch is a pickle, that is a program. Here a machine of its own carries out
those of its instructions that make plain data, and calls nothing but the functions of
one table, all of them ours.

| file | what it holds |
|---|---|
| `tensors` | storages and views of them, the table of dtypes and of names in pickles |
| `pickles` | the machine for pickles: numbers, texts, nests; no classes, no calls |
| `files` | the formats: zip files, those before PyTorch 1.6, safetensors, shards |
| `checkpoints` | which part of what is saved is the ``state_dict``, and its names |
| `loading` | ``cr.load_torch`` |

A new dtype or a new function of PyTorch's pickles is one row in ``tensors``. What opens
files by names that stand in files, or imports what a file names, has no place here.
"""
