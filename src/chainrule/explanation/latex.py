"""Documents as LaTeX, and as Markdown with formulas in LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chainrule.explanation.parts import (
    Details,
    Formula,
    Heading,
    Numbers,
    Part,
    Picture,
    Room,
    Rows,
    Sentence,
)
from chainrule.html.arrays import spelled, summary
from chainrule.notation.expressions import Array
from chainrule.text.catalogue import current

#: Rows and columns of a matrix that is written out.
WRITTEN = 8
#: Fonts with all characters of Taiwan: those of Linux, TeX Live, macOS, Windows.
TRADITIONAL = (
    *("Noto Serif CJK TC", "Noto Serif TC", "Source Han Serif TC", "Songti TC"),
    *("PMingLiU", "Noto Sans CJK TC", "Microsoft JhengHei", "AR PL Mingti2L Big5"),
)
_SPECIAL = str.maketrans(
    {c: "\\" + c for c in "&%$#_{}"}
    | {"^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "\\": r"\textbackslash{}"}
)
#: Characters outside ASCII that stand in texts, in LaTeX's own words.
_SIGNS = {
    "ℒ": r"$\mathcal{L}$", "δ": r"$\delta$", "∂": r"$\partial$", "∇": r"$\nabla$",
    "⊙": r"$\odot$", "ŷ": r"$\hat{y}$", "ᵀ": "$^T$", "′": "$'$", "−": "$-$",
    "∗": "$*$", "×": r"$\times$", "→": r"$\to$", "…": r"\ldots{}", "·": r"$\cdot$",
    "⁽": "$^($", "⁾": "$^)$", "⁰": "$^0$", "η": r"$\eta$", "σ": r"$\sigma$",
    "Φ": r"$\Phi$", "φ": r"$\varphi$", "π": r"$\pi$", "√": r"$\surd$",
    "∑": r"$\sum$", "½": r"$\frac{1}{2}$", "←": r"$\leftarrow$", "≠": r"$\ne$",
    "<": "$<$", ">": "$>$", "ᵢ": "$_i$", "ⱼ": "$_j$", "ₛ": "$_s$",
    "≤": r"$\le$", "–": "--", "θ": r"$\theta$", "β": r"$\beta$", "ε": r"$\varepsilon$",
    "μ": r"$\mu$", "λ": r"$\lambda$", "α": r"$\alpha$", "τ": r"$\tau$", "ᵗ": "$^t$",
    "m\u0302": r"$\hat{m}$", "v\u0302": r"$\hat{v}$", "✓": r"$\checkmark$",
    "✗": r"$\times$", "↳": r"$\hookrightarrow$",
    **{raised: f"$^{n}$" for n, raised in enumerate("¹²³⁴⁵⁶⁷⁸⁹", 1)},
    **{lowered: f"$_{n}$" for n, lowered in enumerate("₀₁₂₃₄₅₆₇₈₉")},
}  # fmt: skip


def markdown(parts: Sequence[Part]) -> str:
    """Return a document as Markdown, with formulas between ``$$``."""
    return "\n".join(line for part in parts for line in _markdown(part))


def _markdown(part: Part) -> Iterator[str]:
    if isinstance(part, Heading):
        yield from (f"{'#' * part.level} {part.text}", "")
    elif isinstance(part, Sentence):
        mark = {"note": "*", "wrong": "**"}.get(part.kind, "")
        yield from (f"{mark}{part.text}{mark}", "")
    elif isinstance(part, Formula):
        yield from ("$$", part.equation.latex(), *_value(part), "$$", "")
        if part.equation.remark:
            yield from (f"({part.equation.remark})", "")
    elif isinstance(part, Numbers):
        yield from ("$$", _numbers(part), "$$", "")
    elif isinstance(part, Details):
        yield from (f"## {part.title}", "")
        for inner in part.parts:
            yield from _markdown(inner)
    elif isinstance(part, Rows):
        head, *rows = part.rows
        yield f"| {' | '.join(head)} |"
        yield "|---" * len(head) + "|"
        yield from (f"| {' | '.join(row)} |" for row in rows)
        yield ""


def latex(parts: Sequence[Part]) -> str:
    """Return a document as LaTeX (XeLaTeX if it is in Chinese)."""
    head = [r"\documentclass{article}", r"\usepackage{amsmath,amssymb}"]
    if any(isinstance(part, Picture) and part.latex for part in parts):
        head.append(r"\usepackage{tikz}")
    head += [r"\usepackage[margin=2cm]{geometry}", r"\setlength{\parindent}{0pt}"]
    chinese = current() != "en"
    head += _in_chinese() if chinese else [r"\usepackage[utf8]{inputenc}"]
    head += [r"\setcounter{MaxMatrixCols}{20}", r"\allowdisplaybreaks"]
    body: list[str] = []
    for part in parts:
        if body and isinstance(part, Heading) and part.level == 1:  # another document
            body.append(r"\clearpage")
        body += _latex(part)
    return "\n".join([*head, r"\begin{document}", *body, r"\end{document}", ""])


def _in_chinese() -> list[str]:
    """Return the XeLaTeX lines that select the first installed Chinese font."""
    choice = ""
    for font in reversed(TRADITIONAL):
        use = rf"\setCJKmainfont[ItalicFont={{{font}}}]{{{font}}}"
        choice = rf"\IfFontExistsTF{{{font}}}{{{use}}}{{%" + f"\n{choice}}}"
    return [r"\usepackage{xeCJK}", choice]


def _latex(part: Part) -> Iterator[str]:
    if isinstance(part, Heading):
        kind = "section" if part.level == 1 else "subsection"
        yield rf"\{kind}*{{{in_latex(part.text)}}}"
    elif isinstance(part, Sentence):
        inner = in_latex(part.text)
        yield rf"\emph{{{inner}}}\par" if part.kind == "note" else inner + r"\par"
    elif isinstance(part, Formula):
        yield from (r"\begin{align*}", _aligned(part), r"\end{align*}")
        if part.equation.remark:
            yield in_latex(f"({part.equation.remark})") + r"\par"
    elif isinstance(part, Numbers):
        yield rf"\[ {_numbers(part)} \]"
    elif isinstance(part, Room):
        yield rf"\vspace{{{part.lines}\baselineskip}}\par"
    elif isinstance(part, Picture) and part.latex:
        yield from (r"\begin{center}", part.latex(), r"\end{center}")
    elif isinstance(part, Details):
        yield rf"\subsection*{{{in_latex(part.title)}}}"
        for inner in part.parts:
            yield from _latex(inner)
    elif isinstance(part, Rows):
        yield rf"\begin{{tabular}}{{{'l' * len(part.rows[0])}}}"
        for row in part.rows:
            yield " & ".join(map(in_latex, row)) + r" \\"
        yield r"\end{tabular}\par"


def _aligned(part: Formula) -> str:
    """Return an equation in LaTeX for ``align*``, a line for each side."""
    e = part.equation
    first, *rest = [side.latex() for side in e.sides[1:]] or [""]
    sign = r"\leftarrow" if e.sign == "←" else "="
    rows = [f"{e.name.latex()} &{sign} {first}", *(f"&= {side}" for side in rest)]
    rows += [f"&{value}" for value in _value(part)]
    return r" \\ ".join(rows) if first else e.name.latex()


def _value(part: Formula) -> Iterator[str]:
    """Yield an equation's numerical value in LaTeX, if it is to be shown."""
    if part.array is not None:
        yield f"= {matrix(part.array, part.off, part.digits)}"


def _numbers(part: Numbers) -> str:
    if part.array is None:
        value = _blank(*part.blank)
    else:
        value = matrix(part.array, digits=part.digits)
    return f"{part.name.latex()} = {value}"


def _blank(rows: int, columns: int) -> str:
    """Return a matrix to fill in, in LaTeX; of one number, a line."""
    if rows * columns == 1:
        return r"\underline{\hspace{6em}}"
    row = " & ".join([r"\underline{\hspace{4em}}"] * columns)
    # Room above each line for what is written by hand.
    lines = r" \\[1.2ex] ".join([row] * rows)
    return rf"\begin{{bmatrix}} {lines} \end{{bmatrix}}"


def matrix(array: Array, off: Array | None = None, digits: int = 4) -> str:
    """Return an array as a LaTeX matrix; a large array as a summary."""
    if array.ndim > 2 or max(array.shape, default=1) > WRITTEN:
        return r"\text{" + in_latex("; ".join(summary(array))) + "}"
    cells = spelled(array, digits, off)
    if len(cells) == 1 and len(cells[0]) == 1:
        return cells[0][0]
    rows = r" \\ ".join(" & ".join(row) for row in cells)
    return rf"\begin{{bmatrix}} {rows} \end{{bmatrix}}"


def in_latex(text: str) -> str:
    """Return a text with LaTeX's special characters and mathematical signs escaped."""
    escaped = text.translate(_SPECIAL).replace("--", "-{}-")  # no dash of print
    for sign, word in _SIGNS.items():
        escaped = escaped.replace(sign, word)
    return escaped
