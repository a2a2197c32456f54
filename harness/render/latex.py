"""LaTeX: a booktabs table that needs only ``\\usepackage{booktabs}``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.render.page import Line, Page

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "]": "{]}",  # a bracket after \\ would be read as its argument
    "±": r"$\pm$", "−": "$-$", "–": "--", "Δ": r"$\Delta$", "≤": r"$\leq$", "√": r"$\surd$", "·": r"$\cdot$",
    "×": r"$\times$", "\n": " ",
} | {sign: f"$^{{{digit}}}$" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}  # fmt: skip
ESCAPES = str.maketrans(SPECIAL)


def latex(page: Page) -> str:
    aligns = "".join("r" if column.align == "right" else "l" for column in page.columns)
    subtitle = f" ({escape(page.subtitle)})" if page.subtitle else ""
    body = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(page.title)}{subtitle}}}",
        rf"\begin{{tabular}}{{{aligns}}}",
        r"\toprule",
        _row([column.head for column in page.columns]),
        r"\midrule",
        *_lines(page.lines, len(page.columns)),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip\footnotesize {escape(note)}" for note in page.notes),
        r"\end{table}",
    ]
    return "\n".join(body)


def _lines(lines: Sequence[Line], width: int) -> Iterator[str]:
    group = None
    for line in lines:
        if line.group != group:
            if group is not None:
                yield r"\addlinespace"
            group = line.group
            yield rf"\multicolumn{{{width}}}{{l}}{{\textit{{{escape(group)}}}}} \\"
        yield _row(line.cells)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(escape(cell) for cell in cells) + r" \\"


def escape(text: str) -> str:
    return text.translate(ESCAPES)
