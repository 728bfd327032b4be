"""Explanations as Markdown, as LaTeX and as JSON data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from chainrule.explanation import page
from chainrule.explanation.content import Explained
from chainrule.explanation.equations import Equation
from chainrule.explanation.worked import Section
from chainrule.html.arrays import spelled, summary
from chainrule.notation.arithmetic import Quantity
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


def markdown(e: Explained) -> str:
    """Return an explanation as Markdown, with formulas between ``$$``."""
    lines = [f"# {page.title(e)}", ""]
    lines += [*page.introduction(e), *(f"**{note}**" for note in e.notes), ""]
    lines += [f"$$\n{line}\n$$\n" for line in _constants(e)]
    for heading, equations, notes in _parts(e):
        lines += [f"## {heading}", ""]
        for equation in equations:
            lines += ["$$", *_latex_lines(e, equation), "$$", ""]
            if equation.remark:
                lines += [f"({equation.remark})", ""]
        lines += [f"*{note}*\n" for note in notes]
    return "\n".join([*lines, str(e.check()), ""])


def latex(e: Explained) -> str:
    """Return an explanation as a LaTeX document (XeLaTeX if it is in Chinese)."""
    lines = [rf"\section*{{{in_latex(page.title(e))}}}"]
    lines += [in_latex(text) + r"\par" for text in (*page.introduction(e), *e.notes)]
    lines += [rf"\[{line}\]" for line in _constants(e)]
    for heading, equations, notes in _parts(e):
        lines.append(rf"\subsection*{{{in_latex(heading)}}}")
        for equation in equations:
            lines += [r"\begin{align*}"]
            lines += [_aligned(_latex_lines(e, equation)), r"\end{align*}"]
            if equation.remark:
                lines.append(in_latex(f"({equation.remark})") + r"\par")
        lines += [rf"\emph{{{in_latex(note)}}}\par" for note in notes]
    return latex_file([*lines, in_latex(str(e.check()))])


def latex_file(lines: Iterable[str]) -> str:
    """Return a complete LaTeX document with the given body lines."""
    chinese = current() != "en"
    head = [r"\documentclass{article}", r"\usepackage{amsmath,amssymb}"]
    head += [r"\usepackage[margin=2cm]{geometry}", r"\setlength{\parindent}{0pt}"]
    head += _in_chinese() if chinese else [r"\usepackage[utf8]{inputenc}"]
    head += [r"\setcounter{MaxMatrixCols}{20}", r"\allowdisplaybreaks"]
    return "\n".join([*head, r"\begin{document}", *lines, r"\end{document}", ""])


def _in_chinese() -> list[str]:
    """Return the XeLaTeX lines that select the first installed Chinese font."""
    choice = ""
    for font in reversed(TRADITIONAL):
        use = rf"\setCJKmainfont[ItalicFont={{{font}}}]{{{font}}}"
        choice = rf"\IfFontExistsTF{{{font}}}{{{use}}}{{%" + f"\n{choice}}}"
    return [r"\usepackage{xeCJK}", choice]


def data(e: Explained) -> dict[str, Any]:
    """Return an explanation as JSON data."""
    check = e.check()
    return {
        "loss": e.loss,
        "samples": e.n,
        "sections": [_section(s) for s in e.sections],
        "numbers": {name.text(): _numbers(q) for name, q in e.numbers.items()},
        "notes": list(e.notes),
        "check": {"ok": check.ok, "error": check.error, "formulas": len(check.errors)},
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "layer": section.l,
        "modules": list(section.modules),
        "parameters": {name.text(): path for name, path in section.given.items()},
        "forward": [_told(q) for q in section.forward],
        "backward": [_told(q) for q in section.backward],
        "update": [_told(q) for q in section.update],
        "loops": [
            {"steps": loop.length, "equations": [_told(q) for q in loop.equations]}
            for loop in section.loops
        ],
        "notes": list(section.notes),
    }


def _told(equation: Equation) -> dict[str, str]:
    found = {"text": equation.text(), "latex": equation.latex()}
    for key in ("key", "remark"):
        if getattr(equation, key):
            found[key] = getattr(equation, key)
    return found


def _numbers(q: Quantity) -> Any:
    return q.array.tolist()


def _parts(e: Explained) -> Iterator[tuple[str, tuple[Equation, ...], tuple[str, ...]]]:
    """Yield heading, equations and notes of each part, in the order shown."""
    chosen = [s for s in e.sections if not e.only or s.l in e.only]
    for section in chosen:
        if section.forward:
            yield page.heading(e, section, "forward"), section.forward, ()
            yield from _loops(section, backward=False)
    for section in reversed(chosen):
        if section.backward:
            heading = page.heading(e, section, "backward")
            yield heading, section.backward, section.notes
            yield from _loops(section, backward=True)
    for section in chosen:
        if section.update:
            yield page.heading(e, section, "update"), section.update, ()


def _loops(
    section: Section, *, backward: bool
) -> Iterator[tuple[str, tuple[Equation, ...], tuple[str, ...]]]:
    for loop in section.loops:
        if loop.backward == backward:
            yield page.of_loop(loop), loop.equations, ()


def _constants(e: Explained) -> Iterator[str]:
    """Yield the LaTeX equations of constant arrays in the graph."""
    for name in page.constants(e):
        yield f"{name.latex()} = {matrix(page.paper(e.numbers[name]))}"


def _latex_lines(e: Explained, equation: Equation) -> list[str]:
    """Return an equation in LaTeX, followed by its numbers if they are known."""
    lines = [equation.latex()]
    known = e.numbers.get(equation.name)
    if known is not None and equation.sides[-1] not in e.numbers:
        numbers = matrix(page.paper(known), page.off(e, equation.name))
        lines.append("= " + numbers)
    return lines


def _aligned(lines: list[str]) -> str:
    name, _, rest = lines[0].partition(" = ")
    return r" \\ ".join([f"{name} &= {rest}", *(f"&{line}" for line in lines[1:])])


def matrix(array: Array, off: Array | None = None) -> str:
    """Return an array as a LaTeX matrix; a large array as a summary."""
    if array.ndim > 2 or max(array.shape, default=1) > WRITTEN:
        return r"\text{" + in_latex("; ".join(summary(array))) + "}"
    cells = spelled(array, off=off)
    if len(cells) == 1 and len(cells[0]) == 1:
        return cells[0][0]
    rows = r" \\ ".join(" & ".join(row) for row in cells)
    return rf"\begin{{bmatrix}} {rows} \end{{bmatrix}}"


def in_latex(text: str) -> str:
    """Return a text for LaTeX, with special characters and signs escaped."""
    made = text.translate(_SPECIAL)
    for sign, word in _SIGNS.items():
        made = made.replace(sign, word)
    return made
