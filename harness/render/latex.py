"""LaTeX: a booktabs table that needs only ``\\usepackage{booktabs}``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.render.page import SUPERSCRIPTS, Column, Line, Page

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "]": "{]}",  # a bracket after \\ would be read as its argument
    "±": r"$\pm$", "−": "$-$", "–": "--", "Δ": r"$\Delta$", "≤": r"$\leq$", "√": r"$\surd$", "·": r"$\cdot$",
    "×": r"$\times$", "½": "1/2", "¾": "3/4", "\n": " ",
    "β": r"$\beta$", "ε": r"$\epsilon$", "θ": r"$\theta$", "λ": r"$\lambda$", "μ": r"$\mu$", "σ": r"$\sigma$",
    "τ": r"$\tau$",
} | {sign: f"$^{{{digit}}}$" for digit, sign in enumerate(SUPERSCRIPTS)}  # fmt: skip
ESCAPES = str.maketrans(SPECIAL)


def latex(page: Page) -> str:
    """Columns for a wide screen go beneath the table: a printed page has no room for them."""
    kept = [i for i, column in enumerate(page.columns) if column.place != "beneath"]
    subtitle = f" ({escape(page.subtitle)})" if page.subtitle else ""
    body = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(page.title)}{subtitle}}}",
        rf"\begin{{tabular}}{{{''.join(_align(page.columns[i]) for i in kept)}}}",
        r"\toprule",
        _row([page.columns[i].head for i in kept]),
        r"\midrule",
        *_lines(page.lines, kept),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip\footnotesize {escape(note)}" for note in (*page.beneath(kept), *page.notes)),
        r"\end{table}",
    ]
    return "\n".join(body)


def _align(column: Column) -> str:
    if column.place == "under":  # running text
        return r"p{.2\linewidth}"
    return "r" if column.align == "right" else "l"


def _lines(lines: Sequence[Line], kept: Sequence[int]) -> Iterator[str]:
    group = ""
    for line in lines:
        if line.group != group:
            if group:
                yield r"\addlinespace"
            group = line.group
            yield rf"\multicolumn{{{len(kept)}}}{{l}}{{\textit{{{escape(group)}}}}} \\"
        yield _row([line.cells[i] for i in kept])


def _row(cells: Sequence[str]) -> str:
    return " & ".join(escape(cell) for cell in cells) + r" \\"


def escape(text: str) -> str:
    return text.translate(ESCAPES)
