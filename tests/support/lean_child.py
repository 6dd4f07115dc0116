"""A process of tools/bench_resume.py, in which networks are shallow and nothing is drawn."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.runs import load_tool, shallow_networks, without_pictures

if __name__ == "__main__":
    _, _, kill_after, delay, *arguments = sys.argv  # As `bench_resume.kcars` calls itself.
    with shallow_networks(), without_pictures():
        load_tool("bench_resume").child(int(kill_after), float(delay), arguments)
