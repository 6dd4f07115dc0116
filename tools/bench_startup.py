"""How soon `kcars --help` answers, beside an import of Keras.

python tools/bench_startup.py
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import contest

COMMANDS = {
    "kcars --help": [str(Path(sys.executable).parent / "kcars"), "--help"],
    "python -c 'import keras'": [sys.executable, "-c", "import keras"],
}


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(contest.ROUNDS + 1):
        for name, command in COMMANDS.items():
            begun = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds[name] += [time.perf_counter() - begun] * (number > 0)  # The first only warms the file cache.
    ours, keras = seconds.values()
    rows = [
        ["`kcars --help`", f"{contest.median(ours):.2f}", contest.told(contest.times_as_fast(keras, ours))],
        ["`python -c 'import keras'`", f"{contest.median(keras):.2f}", "1"],
    ]
    print(contest.markdown("Start", ["command", "s", "of Keras' time"], rows))


if __name__ == "__main__":
    main()
