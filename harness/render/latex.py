"""LaTeX: a booktabs table that needs only ``\\usepackage{booktabs}``."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence

from harness.printable import printable
from harness.render.page import SUPERSCRIPTS, Column, Line, Page

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "]": "{]}",  # a bracket after \\ would be read as its argument
    "–": "--", "—": "---", "½": "1/2", "¼": "1/4", "¾": "3/4", "\u00a0": "~", "…": r"\ldots{}",
    "“": "``", "”": "''", "„": "\"", "‘": "`", "’": "'", "ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "æ": r"\ae{}",
    "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "§": r"\S{}", "¶": r"\P{}",
} | {sign: f"$^{{{digit}}}$" for digit, sign in enumerate(SUPERSCRIPTS)}  # fmt: skip
MATHS = {
    "±": "pm", "∓": "mp", "×": "times", "·": "cdot", "÷": "div", "√": "surd", "°": "circ", "∞": "infty", "∂": "partial",
    "≤": "leq", "≥": "geq", "≠": "neq", "≈": "approx", "≡": "equiv", "∼": "sim", "∝": "propto", "≪": "ll", "≫": "gg",
    "→": "rightarrow", "←": "leftarrow", "↔": "leftrightarrow", "⇒": "Rightarrow", "↦": "mapsto", "↑": "uparrow",
    "↓": "downarrow", "∈": "in", "∉": "notin", "⊂": "subset", "⊆": "subseteq", "∪": "cup", "∩": "cap", "∀": "forall",
    "∃": "exists", "∇": "nabla", "∑": "sum", "∏": "prod", "∫": "int", "ℓ": "ell", "⊕": "oplus", "⊗": "otimes",
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "µ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho",
    "σ": "sigma", "ς": "varsigma", "τ": "tau", "υ": "upsilon", "φ": "phi", "ϕ": "phi", "χ": "chi", "ψ": "psi",
    "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma",
    "Υ": "Upsilon", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c", "\u0323": "d",
}  # fmt: skip
ESCAPES = str.maketrans(SPECIAL | {"−": "$-$"} | {sign: rf"$\{name}$" for sign, name in MATHS.items()})


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
    """In ASCII: any LaTeX takes it, whatever its fonts. A sign without a command becomes its number: ``U+4E2D``."""
    return re.sub(r"[^\x00-\x7f]", _spelt, unicodedata.normalize("NFC", printable(text)).translate(ESCAPES))


def _spelt(found: re.Match[str]) -> str:
    letter, *marks = unicodedata.normalize("NFKD", found[0])
    if letter.isascii() and letter.isalpha() and all(mark in ACCENTS for mark in marks):
        letter = {"i": r"\i", "j": r"\j"}.get(letter, letter) if marks else letter  # without their dots
        return functools.reduce(lambda inner, mark: rf"\{ACCENTS[mark]}{{{inner}}}", marks, letter)
    return f"{{[}}U+{ord(found[0]):04X}{{]}}"
