"""Where the checkout and its tools lie."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "tools"
SHALLOW_PROGRAM = ROOT / "tests/support/shallow_program.py"
