"""Another program, whose networks are those of `support.runs.shallow_networks`, as the runs that tests share have them.

python shallow_program.py -m MODULE | -c CODE | FILE, then its arguments
"""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.runs import shallow_networks

if __name__ == "__main__":
    kind, *given = sys.argv[1:]
    with shallow_networks():
        if kind == "-m":
            sys.argv = given
            runpy.run_module(given[0], run_name="__main__", alter_sys=True)
        elif kind == "-c":
            sys.argv = ["-c", *given[1:]]
            exec(compile(given[0], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = [kind, *given]
            runpy.run_path(kind, run_name="__main__")
