"""`python -m kcars.cli`."""

from kcars.cli import main

main(prog_name="kcars")
