"""Remarks on suspect values of the paper, from the headers of the strategy files."""

from kcars.settings.strategy import strategy_files

HEADING = "# Suspect:"
# Phrase of a remark -> its columns; a remark without any of these is about the whole row.
ABOUT = {
    "accumulated top-5 and F1": ("top5", "f1"),
    "chosen on the test": ("best_epoch",),
}
WHOLE_ROW = ("source",)


def suspects(name: str) -> list[str]:
    """Return the remarks on a shipped strategy's published row, in the order of its file."""
    return parse(strategy_files()[name].read_text(encoding="utf-8"))


def parse(text: str) -> list[str]:
    """Parse the lines, indented by three, after `# Suspect:` in a strategy file."""
    lines = iter(text.splitlines())
    if not any(line == HEADING for line in lines):
        return []
    found = []
    for line in lines:
        if not line.startswith("#   "):
            break
        found.append(line.removeprefix("#").strip())
    return found


def columns(remark: str) -> tuple[str, ...]:
    """Return the columns of the paper's row that a remark is about."""
    return next((about for words, about in ABOUT.items() if words in remark), WHOLE_ROW)


class Footnotes:
    """Assigns letters to remarks in order of appearance; equal remarks share a letter."""

    def __init__(self):
        self.remarks: list[str] = []

    def letter(self, remark: str) -> str:
        if remark not in self.remarks:
            self.remarks.append(remark)
        return chr(ord("a") + self.remarks.index(remark))

    def marks(self, name: str) -> dict[str, str]:
        """Return column -> letters, such as "a,c", for a strategy's published row."""
        found: dict[str, list[str]] = {}
        for remark in suspects(name):
            for column in columns(remark):
                found.setdefault(column, []).append(self.letter(remark))
        return {column: ",".join(letters) for column, letters in found.items()}

    def lines(self) -> list[tuple[str, str]]:
        """Return all (letter, remark)."""
        return [(self.letter(remark), remark) for remark in self.remarks]
