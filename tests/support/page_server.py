"""A page whose model needs no training: started by tests as a process of its own, told its port on the first line.

A white photo is answered only after an hour.
"""

import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from kcars.demo.models import Model, Models  # noqa: E402
from kcars.demo.serve import open_port, serve  # noqa: E402
from kcars.training.interrupt import terminate  # noqa: E402
from support.colours import colour_model  # noqa: E402


def page_model():
    predictor = colour_model()
    colours = predictor._network

    def network(pixels):
        if pixels.mean() > 250:
            time.sleep(3600)
        return colours(pixels)

    predictor._network = network
    predictor.card.update(scores={}, deciding="medium")
    return Model(predictor, no_maps="No map.")


def main() -> None:
    signal.signal(signal.SIGTERM, terminate)
    with open_port("127.0.0.1", 0) as opened:
        serve(Models(verify=page_model()), opened, lambda: print(opened.getsockname()[1], flush=True))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
