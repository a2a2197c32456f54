"""LaTeX: a table of booktabs, no wider than the text; longer than a page it is a `longtable`."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.printable import printable
from harness.render.page import SUPERSCRIPTS, Page

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


@dataclass(frozen=True)
class Size:
    """Of letters, how many of them a text 345 pt wide holds (that of `article`, narrower than others), and how many
    the space between two columns takes."""

    command: str
    room: float
    between: float = 2.4


SIZES = (Size("", 60), Size(r"\small", 66), Size(r"\footnotesize", 74))
TIGHT = Size(r"\scriptsize\setlength{\tabcolsep}{2pt}", 86, 1.2)
"""Where no other will do."""
LONG = 40
"""Lines from which on a page may be longer than a sheet."""
WITHIN = re.compile(r"(?<=[-/_,:=])(?=\S)")
"""Where a long word may be broken, in a text that wraps."""
LONGEST = 12
"""Letters of a word that is never broken."""
NONE: Mapping[int, int] = {}
ESCAPES = str.maketrans(SPECIAL | {"−": "$-$"} | {sign: rf"$\{name}$" for sign, name in MATHS.items()})


def latex(page: Page) -> str:
    """No wider than the text: columns that say one thing of all rows are told beneath, texts wrap, letters shrink.

    Long pages are a `longtable`; others float over both columns of a page, where it has two.
    """
    sheet = _sheet(page)
    long = len(page.lines) * (2 if sheet.under else 1) > LONG
    return "\n".join(_long(page, sheet) if long else _float(page, sheet))


@dataclass(frozen=True)
class Sheet:
    """The columns as they are set: which, how wide, in which size; what stands under each row, and beneath all."""

    kept: tuple[int, ...]
    widths: Mapping[int, float]
    """Of columns whose texts wrap, as a part of the text's width."""
    size: str
    under: tuple[int, ...]
    notes: tuple[str, ...]


def _sheet(page: Page) -> Sheet:
    under = tuple(i for i, column in enumerate(page.columns) if column.place == "under")
    kept = [i for i, column in enumerate(page.columns) if column.place not in ("beneath", "under")]
    name = next(i for i in kept if page.columns[i].head != "#")
    same = [i for i in kept if i > name and len({line.cells[i] for line in page.lines}) == 1 < len(page.lines)]
    kept = [i for i in kept if i not in same]
    shared = ", ".join(f"{page.columns[i].head} {page.lines[0].cells[i]}" for i in same)
    notes = (f"All rows: {shared}.",) if shared else ()
    beneath = page.beneath([*kept, *same])
    size, cut = _fitting({i: _longest(page, i) for i in kept}, {i: _least(page, i) for i in kept})
    whole = size.room + size.between
    widths = {i: letters / whole for i, letters in cut.items()}
    return Sheet(tuple(kept), widths, size.command, under, (*notes, *beneath, *page.notes))


def _fitting(longest: Mapping[int, int], least: Mapping[int, int]) -> tuple[Size, dict[int, int]]:
    """The largest letters with which all columns fit; and columns whose texts wrap, with the letters they get."""
    for size in SIZES:
        if sum(longest.values()) + size.between * len(longest) <= size.room:
            return size, {}
    for size in (SIZES[-1], TIGHT):
        total = sum(longest.values()) + size.between * len(longest)
        cut: dict[int, int] = {}
        while total > size.room and (able := [i for i in longest if cut.get(i, longest[i]) > least[i]]):
            widest = max(able, key=lambda i: cut.get(i, longest[i]))
            cut[widest] = cut.get(widest, longest[widest]) - 1
            total -= 1
        if total <= size.room:
            break
    return size, cut


def _longest(page: Page, i: int) -> int:
    return max(map(_letters, (page.columns[i].head, *(line.cells[i] for line in page.lines))))


def _least(page: Page, i: int) -> int:
    """Letters of its longest word, and a little for broad ones."""
    texts = (page.columns[i].head, *(line.cells[i] for line in page.lines))
    return max(_letters(part) for text in texts for part in _parts(text))


def _letters(text: str) -> int:
    """And one more: for broad ones, or the spaces round a sign of mathematics."""
    return len(text) + 1


def _parts(text: str) -> list[str]:
    """Words, long ones in the parts that they may be broken into."""
    return [part for word in text.split() for part in (WITHIN.split(word) if len(word) > LONGEST else [word])] or [""]


def _float(page: Page, sheet: Sheet) -> list[str]:
    return [
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{_caption(page)}}}",
        rf"\label{{{_label(page)}}}",
        *([sheet.size] if sheet.size else []),
        rf"\begin{{tabular}}{{{_align(page, sheet)}}}",
        r"\toprule",
        _row(page, sheet, _heads(page, sheet)),
        r"\midrule",
        *_lines(page, sheet),
        r"\bottomrule",
        r"\end{tabular}",
        *_notes(sheet),
        r"\end{table*}",
    ]


def _long(page: Page, sheet: Sheet) -> list[str]:
    """Breaks over pages, its head on each; one column a page is what `longtable` asks for."""
    head = [r"\toprule", _row(page, sheet, _heads(page, sheet)), r"\midrule"]
    return [
        r"% needs \usepackage{longtable}, and \onecolumn where the page has two",
        r"\begingroup",
        *([sheet.size] if sheet.size else []),
        rf"\begin{{longtable}}{{{_align(page, sheet)}}}",
        rf"\caption{{{_caption(page)}}}\label{{{_label(page)}}}\tabularnewline",
        *head,
        r"\endfirsthead",
        *head,
        r"\endhead",
        r"\bottomrule",
        r"\endlastfoot",
        *_lines(page, sheet),
        r"\end{longtable}",
        *_notes(sheet),
        r"\endgroup",
    ]


def _caption(page: Page) -> str:
    """Without the page's own label: LaTeX numbers it by itself."""
    label, _, about = page.title.partition(" · ")
    subtitle = f" ({escape(page.subtitle)})" if page.subtitle else ""
    return escape(about or label) + subtitle


def _label(page: Page) -> str:
    """``tab:table-1-paper-cpu``: two presets of a table in one document are two tables."""
    text = " ".join([page.title.partition(" · ")[0], *re.findall(r"(?:protocol|preset) (\S+)", page.subtitle)])
    return "tab:" + (re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "table")


def _notes(sheet: Sheet) -> Iterator[str]:
    if sheet.notes:
        yield r"\par\smallskip\noindent"
        yield r"\begin{minipage}{\linewidth}\footnotesize\raggedright"
        yield from (rf"{escape(note)}\par" for note in sheet.notes)
        yield r"\end{minipage}"


def _align(page: Page, sheet: Sheet) -> str:
    return "".join(
        rf"p{{{sheet.widths[i]:.3f}\textwidth}}"
        if i in sheet.widths
        else "r"
        if page.columns[i].align == "right"
        else "l"
        for i in sheet.kept
    )


def _heads(page: Page, sheet: Sheet) -> list[str]:
    return [page.columns[i].head for i in sheet.kept]


def _lines(page: Page, sheet: Sheet) -> Iterator[str]:
    group = ""
    for line in page.lines:
        if sheet.under:
            yield r"\addlinespace"
        if line.group != group:
            if group:
                yield r"\addlinespace"
            group = line.group
            yield rf"\multicolumn{{{len(sheet.kept)}}}{{l}}{{\textit{{{escape(group)}}}}} \tabularnewline"
        yield _row(page, sheet, [line.cells[i] for i in sheet.kept], line.strong)
        for text in (page.columns[i].lead + line.cells[i] for i in sheet.under if line.cells[i]):
            inner = rf"\raggedright {escape(text)}"
            width = r"p{\dimexpr\textwidth-2\tabcolsep}"
            yield rf"\multicolumn{{{len(sheet.kept)}}}{{{width}}}{{{inner}}} \tabularnewline"


def _row(page: Page, sheet: Sheet, cells: Sequence[str], strong: Collection[int] = ()) -> str:
    return (
        " & ".join(_cell(page, sheet, i, cell, i in strong) for i, cell in zip(sheet.kept, cells, strict=True))
        + r" \tabularnewline"
    )


def _cell(page: Page, sheet: Sheet, i: int, text: str, strong: bool) -> str:
    if i not in sheet.widths:
        return rf"\textbf{{{escape(text)}}}" if strong else escape(text)
    said = " ".join(r"\allowbreak{}".join(map(escape, _parts(word))) for word in text.split())
    said = rf"\textbf{{{said}}}" if strong else said
    return rf"\raggedleft {said}" if page.columns[i].align == "right" else rf"\raggedright {said}"


def escape(text: str) -> str:
    """In ASCII: any LaTeX takes it, whatever its fonts. A sign without a command becomes its number: ``U+4E2D``."""
    return re.sub(r"[^\x00-\x7f]", _spelt, unicodedata.normalize("NFC", printable(text)).translate(ESCAPES))


def _spelt(found: re.Match[str]) -> str:
    letter, *marks = unicodedata.normalize("NFKD", found[0])
    if letter.isascii() and letter.isalpha() and all(mark in ACCENTS for mark in marks):
        letter = {"i": r"\i", "j": r"\j"}.get(letter, letter) if marks else letter  # without their dots
        return functools.reduce(lambda inner, mark: rf"\{ACCENTS[mark]}{{{inner}}}", marks, letter)
    return f"{{[}}U+{ord(found[0]):04X}{{]}}"
