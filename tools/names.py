"""Write the table of PyTorch's names in ``docs/how-to/from-pytorch.md``.

    python tools/names.py          # write it
    python tools/names.py --check  # fail if it is not up to date

The names are those that the installed PyTorch documents, and what is here is asked of
the running package. What is missing stands beneath, with the package's own hint.
"""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

import chainrule as cr

PAGE = Path(__file__).resolve().parent.parent / "docs" / "how-to" / "from-pytorch.md"
BEGIN, END = "<!-- names: python tools/names.py -->\n", "<!-- end of names -->\n"

#: The modules of the table.
MODULES = (
    *("", "Tensor", "nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.rnn"),
    *("optim", "optim.lr_scheduler", "autograd", "autograd.functional", "linalg"),
    *("special", "fft", "distributions", "utils.data"),
)

#: Names that stay out, by the reason.
OUT = {
    "complex numbers": r"(is_)?(complex|conj)\w*|resolve_\w+|is_neg|view_as_\w+|polar"
    r"|c(float|double|half)|imag|real|i?stft|isreal"
    r"|i?[rh]?fft[2n]?|eig(vals)?",
    "half, quantized and packed numbers": r"half|b?float(8|16|4_)\w*|\w*quantiz\w*"
    r"|fake_quant\w*|q_\w+|int_repr|u?int[1-7]|q?u?int\dx\d|qu?int\d+|bits\w*|qscheme",
    "sparse, nested and named layouts": r"\w*(sparse|Sparse|coalesce|nested)\w*|\w*spmm"
    r"|s?mm|s?addmm|(ccol|crow|col|row)_indices|(dense|sparse)_dim|align_\w+|names"
    r"|rename_?|refine_names|to_(dense|mkldnn)|indices|values|layout|saddmm|hsmm|ssp\w+",
    "other devices and several machines": r"\w*(cuda|xpu|mps|hip|ipu|mtia)|is_(meta"
    r"|maia|vulkan|xla|shared|pinned)\w*|share_memory_|get_device\w*|set_default_device"
    r"|record_stream|\w*(Parallel|Distributed|SyncBatch)\w*|\w*autocast\w*|GradScaler",
    "how elements lie in memory": r"(untyped_)?storage\w*|stride|as_strided\w*|set_"
    r"|dim_order|is_(contiguous|set_to|storage)|data_ptr|resize\w*|empty_(strided|permuted)"
    r"|new_empty_strided|const_data_ptr|element_size|from_file|\w+Storage"
    r"|(?!index_)\w+_copy",
    "switches and tools of PyTorch": r"\w*(determinis|threads|printopt|anomal|rng_state"
    r"|warn_always|matmul_precision|flush_denormal|interop|default_tensor_type|datapipe"
    r"|DataPipe|DataChunk|runtime_validation|typename|compiled_with|Sym|sym_|Error)\w*"
    r"|initial_seed|seed|export|lobpcg|is_inference|thread_safe_generator|unify_\w+"
    r"|argument_validation|fork|wait|skip_init|parametriz\w+|fuse_\w+|convert_conv\w+"
    r"|import_ir_\w+|parse_\w+|merge_type\w+|swap_in_\w+|\w*(kineto|_policy)\w*"
    r"|set_multithreading_enabled|(tf32|sparse_support|reproducibility)_notes|is_same_size|layout|grad_dtype",
}


def module(package: Any, path: str) -> Any:
    """Return a module, or the class of tensors, of a package; None without it."""
    for name in filter(None, path.split(".")):
        package = getattr(package, name, None)
    return package


#: The classes of the package itself; the others that it has are of its compiler.
CLASSES = {"Tensor", "Generator", "Size", "device", "dtype", "finfo", "iinfo"}


def documented(path: str) -> list[str]:
    """Return the names of a module of PyTorch that its documentation describes.

    Deprecated ones are left out, and classes that are arguments of no function.
    """
    theirs, names = module(torch, path), []
    for name in dir(theirs):
        item = getattr(theirs, name)
        home, text = getattr(item, "__module__", None) or "torch", item.__doc__
        if isinstance(item, torch.dtype):
            names.append(name)
        if name.startswith("_") or not callable(item) or not isinstance(text, str):
            continue
        if not text.strip() or "deprecated" in text[:200].lower():
            continue
        if inspect.isclass(item) and path == "" and name not in CLASSES:
            continue
        if inspect.isclass(item) and (path == "nn.functional" or "_C" in home):
            continue
        whole = path in ("", "Tensor") and home.startswith("torch")
        if whole or home.startswith((f"torch.{path}", "torch._C")):
            names.append(name)
    return sorted(set(names))


def hint(path: str, name: str) -> str:
    """Return what the package says to write instead of a name; or nothing."""
    ours = cr.ones(1) if path == "Tensor" else module(cr, path)
    try:
        getattr(ours, name)
    except AttributeError as error:
        return getattr(error, "fix", "")
    return ""


def table() -> str:
    """Return the table of names, and the lists of what is missing, as Markdown."""
    lines = [
        "| module | names of PyTorch | here | left out on purpose | not here |",
        "|---|---|---|---|---|",
    ]
    out: dict[str, list[str]] = defaultdict(list)
    missing: dict[str, list[str]] = {}
    hints: dict[str, str] = {}
    for path in MODULES:
        names, title = documented(path), f"torch.{path}".rstrip(".")
        ours = module(cr, path)
        absent = [name for name in names if not hasattr(ours, name)]
        left = []
        for name in absent:
            reason = next((r for r, p in OUT.items() if re.fullmatch(p, name)), "")
            if reason:
                out[reason].append(name)
            else:
                left.append(name)
            fix = hint(path, name) if ours is not None else ""
            if fix:
                hints[f"{path}.{name}".lstrip(".")] = fix
        if left:
            missing[title] = left
        counts = [len(names), len(names) - len(absent), len(absent) - len(left)]
        lines.append(f"| `{title}` | {' | '.join(map(str, counts))} | {len(left)} |")
    lines += ["", "Left out on purpose:", ""]
    for reason in OUT:
        names = ", ".join(f"`{name}`" for name in sorted(set(out[reason])))
        lines.append(f"- *{reason}*: {names}")
    if missing:
        lines += ["", "Not here:", ""]
    for title, left in missing.items():
        lines.append(f"- `{title}`: {', '.join(f'`{name}`' for name in left)}")
    lines += ["", "What the package says of missing names:", ""]
    lines += ["| name | here |", "|---|---|"]
    for name, fix in sorted(hints.items()):
        text = fix.replace("|", "\\|")
        lines.append(f"| `{name}` | {text} |")
    return "\n".join(lines) + "\n"


def written(page: str) -> str:
    """Return the page with the table of now in the place of the one that it has."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + "\n" + table() + "\n" + END + rest.split(END)[1]


def main(arguments: list[str]) -> int:
    """Write the table, or check it."""
    warnings.simplefilter("ignore")  # of PyTorch's deprecated names
    page = PAGE.read_text("utf-8")
    made = written(page)
    if "--check" in arguments:
        return int(made != page)
    PAGE.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
