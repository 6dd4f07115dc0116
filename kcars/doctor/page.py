"""The findings as one self-contained HTML page with thumbnails."""

import base64
import html
import io
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from kcars.core.files import write_text
from kcars.core.plain_text import printable
from kcars.data.faults import KINDS, Fault, spoils
from kcars.images.thumbnail import thumbnail

MOST_SHOWN = 24  # Findings of a kind; the CSV next to the page has all.
THUMBNAIL_PX = (180, 120)
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #c0392b; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; border-bottom: 1px solid var(--line); text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; } .spoils { color: var(--bad); font-weight: 600; }
.cards { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; width: 23rem; overflow-wrap: anywhere; }
figure img, .none { width: 11rem; height: 7.5rem; object-fit: contain; background: #8882; display: inline-block; }
figcaption { font-size: 12px; }
"""


def write_page(file: Path, source: str, roots: Sequence[Path], faults: Sequence[Fault], photos: int) -> None:
    """Write the page: a table of kinds, then examples of each. roots: folders that contain the photos of findings."""
    by_kind = defaultdict(list)
    for fault in faults:
        by_kind[fault.kind].append(fault)
    kinds = [kind for kind in KINDS if kind in by_kind]
    body = "".join(_section(kind, by_kind[kind], roots) for kind in kinds) or "<p>No findings.</p>"
    write_text(
        file,
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Dataset check</title><style>{_STYLE}</style>'
        f"<h1>Dataset check</h1><p>{html.escape(printable(source))}: {photos} photos examined, {len(faults)} findings.</p>"
        f"{_table(kinds, by_kind)}{body}</html>\n",
    )


def _table(kinds: Sequence[str], by_kind: dict[str, list[Fault]]) -> str:
    rows = "".join(
        f'<tr><td class="{_class(kind)}">{_class(kind)}<td><a href="#{kind}">{kind}</a>'
        f'<td class="number">{len(by_kind[kind])}<td>{html.escape(KINDS[kind][1])}'
        for kind in kinds
    )
    return f"<table><tr><th><th>kind<th>findings<th>meaning{rows}</table>" if rows else ""


def _class(kind: str) -> str:
    return "spoils" if spoils(kind) else "note"


def _section(kind: str, faults: Sequence[Fault], roots: Sequence[Path]) -> str:
    cards = "".join(_card(fault, roots) for fault in faults[:MOST_SHOWN])
    more = f"<p>{len(faults) - MOST_SHOWN} more in the CSV.</p>" if len(faults) > MOST_SHOWN else ""
    return f'<h2 id="{kind}">{kind} ({len(faults)})</h2><div class="cards">{cards}</div>{more}'


def _card(fault: Fault, roots: Sequence[Path]) -> str:
    pictures = "".join(_picture(path, roots) for path in (fault.path, fault.other) if path)
    words = "<br>".join(html.escape(printable(text)) for text in (fault.path, fault.other, fault.detail) if text)
    return f"<figure>{pictures}<figcaption>{words}</figcaption></figure>"


def _picture(path: str, roots: Sequence[Path]) -> str:
    """An inlined thumbnail; an empty frame for a photo that cannot be shown."""
    for root in roots:
        small = thumbnail(root / path, *THUMBNAIL_PX) if os.path.isfile(root / path) else None  # It may be a pipe.
        if small is None:
            continue
        content = io.BytesIO()
        small.save(content, "JPEG", quality=80)
        return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}">'
    return '<span class="none"></span>'
