"""Writes a table as HTML, CSV and LaTeX."""

import re
from html import escape
from pathlib import Path

from kcars.core.csv_files import csv_text
from kcars.core.files import write_text
from kcars.paper.tables import SOURCES, Line, Table

HONEST, PAPER = SOURCES["honest"], SOURCES["published"]
STYLE = """
body { font: 14px/1.45 sans-serif; color: #222; background: #fff; margin: 2em; }
table { border-collapse: collapse; }
th, td { padding: 0.2em 0.4em; text-align: right; vertical-align: top; font-variant-numeric: tabular-nums; }
th { border-bottom: 2px solid #222; } th:nth-child(-n+3), td:nth-child(-n+3), td.why { text-align: left; }
td { white-space: nowrap; } td:nth-child(2) { white-space: normal; min-width: 7em; } td.why { white-space: normal; } tr.paper td { border-bottom: 1px solid #999; color: #555; } small { color: #555; white-space: nowrap; display: block; }
sup { line-height: 0; } p { margin: 0.4em 0; }
caption { text-align: left; margin-bottom: 0.8em; max-width: 70em; } div { max-width: 70em; } .why { font-style: italic; }
"""
LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "×": r"$\times$",
    "<": r"\textless{}", ">": r"\textgreater{}", **{sign: "\\" + sign for sign in "&%$#_{}"},
}  # fmt: skip


def write(table: Table, folder: Path) -> list[Path]:
    """Write `<name>.html`, `.csv` and `.tex` into the folder, each atomically."""
    texts = {"html": page(table), "csv": as_csv(table), "tex": latex(table)}
    files = [folder / f"{table.name}.{kind}" for kind in texts]
    for file, text in zip(files, texts.values(), strict=True):
        write_text(file, text)
    return files


def page(table: Table) -> str:
    """Return a self-contained HTML page that is also well-formed XML."""
    heads = "".join(f"<th>{escape(head)}</th>" for head in table.heads.values())
    rows = "\n".join(_html_row(table, line) for line in table.lines)
    below = [f"<sup>{letter}</sup> {escape(text)}" for letter, text in table.footnotes] + [*map(escape, table.notes)]
    notes = "\n".join(f"<p>{text}</p>" for text in below)
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"/><title>{escape(table.name)}</title><style>{STYLE}</style></head>
<body>
<table>
<caption>{escape(table.caption)}</caption>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
<div>
{notes}
</div>
</body>
</html>
"""


def _html_row(table: Table, line: Line) -> str:
    if line.missing:
        texts = f"<td>{escape(line.texts['acronym'])}</td><td>{escape(line.source)}</td>"
        return f'<tr>{texts}<td class="why" colspan="{len(table.heads) - 2}">{escape(line.missing)}</td></tr>'
    cells = "".join(f"<td>{_html_cell(line, column)}</td>" for column in table.heads)
    return f'<tr class="paper">{cells}</tr>' if line.source == PAPER else f"<tr>{cells}</tr>"


def _html_cell(line: Line, column: str) -> str:
    text = escape(line.texts.get(column, "") or "–")
    if column in line.marks:
        text += f"<sup>{line.marks[column]}</sup>"
    if line.source == HONEST and column in line.intervals:
        text += f"<small>{_interval(line, column)}</small>"
    return text


def _interval(line: Line, column: str) -> str:
    low, high = line.intervals[column]
    return f"[{low:.3f}, {high:.3f}]"


def as_csv(table: Table) -> str:
    """Return CSV with one line per row, and the intervals of our scores in separate columns."""
    columns: dict[str, list[str]] = {}
    for column in table.heads:
        columns[column] = [line.texts.get(column, "") for line in table.lines]
        if column in table.scores:
            columns[column] = [text.replace("undefined", "") for text in columns[column]]
            for end, place in (("low", 0), ("high", 1)):
                bounds = [line.intervals.get(column) for line in table.lines]
                columns[f"{column}_{end}"] = [f"{bound[place]:.3f}" if bound else "" for bound in bounds]
    columns["suspect"] = ["; ".join(line.suspect) for line in table.lines]
    columns["missing"] = [line.missing for line in table.lines]
    columns["run"] = [line.run for line in table.lines]
    return csv_text(columns)


def latex(table: Table) -> str:
    """Return a `table*` environment that needs no LaTeX package."""
    width = len(table.heads)
    rows = []
    for line in table.lines:
        rows.append(" & ".join(_latex_cells(table, line)) + r" \\" + (r" \hline" if line.source == PAPER else ""))
    notes = [rf"\textsuperscript{{{letter}}}~{plain(text)}" for letter, text in table.footnotes]
    notes += [plain(text) for text in table.notes]
    return "\n".join([
        r"\begin{table*}[t]", r"\centering\scriptsize\setlength{\tabcolsep}{2.5pt}",
        rf"\caption{{{plain(table.caption)}}}", rf"\label{{tab:kcars-{table.name}}}",
        rf"\begin{{tabular}}{{lll{'r' * (width - 3)}}}", r"\hline",
        " & ".join(plain(head) for head in table.heads.values()) + r" \\ \hline", *rows, r"\end{tabular}",
        r"\par\smallskip\raggedright", *(text + r"\par" for text in notes), r"\end{table*}", "",
    ])  # fmt: skip


def _latex_cells(table: Table, line: Line) -> list[str]:
    if line.missing:
        begin = [plain(line.texts["acronym"]), plain(line.source)]
        return [*begin, rf"\multicolumn{{{len(table.heads) - 2}}}{{l}}{{\textit{{{plain(line.missing)}}}}}"]
    return [_latex_cell(line, column) for column in table.heads]


def _latex_cell(line: Line, column: str) -> str:
    text = line.texts.get(column, "") or "--"
    if column == "learning_rate" and (found := re.fullmatch(r"([\d.]+)e(-?\d+)", text)):
        shown = rf"${found[1]}\times10^{{{found[2]}}}$"
    else:
        shown = plain(text)
    if column in line.marks:
        shown += rf"\textsuperscript{{{line.marks[column]}}}"
    if line.source == HONEST and column in line.intervals:
        shown = rf"\shortstack[r]{{\strut {shown}\\{{\tiny {_interval(line, column)}}}}}"
    return shown


def plain(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(LATEX.get(letter, letter) for letter in text)
