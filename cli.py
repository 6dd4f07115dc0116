"""`python cli.py ...` from a checkout runs the same commands as the installed `kcars`."""

from kcars.cli import main

if __name__ == "__main__":
    main()
