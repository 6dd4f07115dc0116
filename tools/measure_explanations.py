"""Whether the maps of `kcars explain` point at what answers go by: deletion curves on a run's test photos, beside trivial maps.

    python tools/measure_explanations.py runs/demo-classify --data DATA --photos 100

The hottest places of a photo are taken away step by step, and the area under what is left of the answer is told (`kcars/inference/deletion.py`): the
probability of the answered class, or of a pair being the same while its other photo stays whole, of pairs that were taken for
the same. Less is more faithful. Rivals are Grad-CAM of the network's last grid, random maps as coarse as that of `kcars explain`, and the middle of the photo. Each photo, or pair, is
drawn once; no photo stands in two pairs. Intervals resample photos or pairs, the same for all maps.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kcars.core.rng import generator
from kcars.data.source import load as load_data
from kcars.images.pixel_store import open_store
from kcars.inference.deletion import REPLACED, centre, deletion_areas
from kcars.inference.explain import Explainer, load
from kcars.metrics.bootstrap import PERCENTILES
from kcars.metrics.calibration import probabilities
from kcars.models.grad_cam import GradCam
from kcars.posthoc.decision import PairDecision
from kcars.report.read import Reported

RIVALS, OURS, RESAMPLES = ("last grid", "centre", "random"), "map", 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the run's dataset")
    parser.add_argument("--photos", type=int, default=60, help="photos, or pairs")
    parser.add_argument("--steps", type=int, default=7, help="in how many a photo is taken away")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    areas = measured(options.run, options.data, options.photos, options.steps, options.seed)
    print("\n".join(table(areas, options.seed)))


def measured(run: Path, data: Path, count: int, steps: int, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """By what stands in the place of what is gone, and by map: areas (photos or pairs,)."""
    reported, explainer, coarse = Reported(run), load(run, moved=False), load(run, last=True).cam
    dataset = load_data(data, reported.strategy.task, reported.strategy.data)
    reported.run.refuse_other_data(dataset)
    store = open_store(dataset.table, reported.strategy.data, False)
    row = {path: number for number, path in enumerate(dataset.table.paths)}
    random = generator(seed, "explanations", 0)
    cases = named if explainer.card["task"] == "classify" else paired
    found: dict[str, dict[str, list]] = {kind: {name: [] for name in (OURS, *RIVALS)} for kind in REPLACED}

    def read(path: str) -> np.ndarray:
        return store.read(np.array([row[path]]))[0]

    for sides in cases(reported, explainer, coarse, read, count, random):
        areas = [areas_of(*side, steps, random) for side in sides]
        for kind, maps in found.items():
            for name, values in maps.items():
                values.append(np.mean([each[kind][name] for each in areas]))
    return {kind: {name: np.array(values) for name, values in maps.items()} for kind, maps in found.items()}


def named(
    reported: Reported, explainer: Explainer, coarse: GradCam, read: Callable, count: int, random
) -> Iterator[list]:
    """Of drawn test photos, each alone: (pixels, maps, score of photos), the score being the answered class's probability."""
    paths, temperature = reported.photos["path"], explainer.card["decision"]["temperature"]
    for path in random.permutation(np.array(paths, object))[:count]:
        pixels = read(path)
        label = int(explainer.predictor.outputs(pixels[None])[0].argmax())

        def score(photos, label=label):
            return probabilities(explainer.predictor.outputs(photos), temperature)[:, label]

        heats = (cam.of_classes(pixels[None], np.array([label]))[0] for cam in (explainer.cam, coarse))
        yield [(pixels, dict(zip((OURS, "last grid"), heats, strict=True)), score)]


def paired(
    reported: Reported, explainer: Explainer, coarse: GradCam, read: Callable, count: int, random
) -> Iterator[list]:
    """Of drawn test pairs that were taken for the same, both photos: (pixels, maps, score), the score being that of the pair."""
    pairs, seen = reported.pairs, set()
    for place in random.permutation(np.flatnonzero(np.array(pairs["decided_same"]) == "1")):
        paths = pairs["left"][place], pairs["right"][place]
        if seen & set(paths):
            continue
        if len(seen) >= 2 * count:
            return
        seen |= set(paths)
        pixels = [read(path) for path in paths]
        ours, last = (cam.of_pairs(*(each[None] for each in pixels)) for cam in (explainer.cam, coarse))
        vectors = explainer.predictor.outputs(np.stack(pixels))

        def score(photos, beside):
            distance = np.linalg.norm(explainer.predictor.outputs(photos) - beside, axis=1)
            return PairDecision.of(explainer.card["decision"]).probability(distance)

        yield [
            (
                pixels[side],
                {OURS: ours[side][0], "last grid": last[side][0]},
                lambda photos, beside=vectors[1 - side]: score(photos, beside),
            )
            for side in (0, 1)
        ]


def areas_of(pixels: np.ndarray, maps: dict[str, np.ndarray], score: Callable, steps: int, random) -> dict[str, dict]:
    """Areas by what stands in place, and by map, of one photo."""
    shape = maps[OURS].shape
    maps, ties = {**maps, "centre": centre(*shape), "random": random.random(shape)}, random.random(shape)
    return {
        kind: deletion_areas(pixels, maps, ties, replaced(pixels), score, steps) for kind, replaced in REPLACED.items()
    }


def table(areas: dict[str, dict[str, np.ndarray]], seed: int) -> list[str]:
    """Markdown: mean areas, and by how much the run's maps are below each rival's."""
    lines = [
        f"| in their place | {OURS} | {' | '.join(RIVALS)} | " + " | ".join(f"less {name}" for name in RIVALS) + " |",
        "| --- " * (2 + 2 * len(RIVALS)) + "|",
    ]
    for kind, maps in areas.items():
        ours, means = maps[OURS], [f"{maps[name].mean():.3f}" for name in RIVALS]
        draws = generator(seed, "resamples", 0).integers(0, len(ours), (RESAMPLES, len(ours)))
        changes = [ours - maps[name] for name in RIVALS]
        told = [
            "{:+.3f} [{:+.3f}, {:+.3f}]".format(each.mean(), *np.percentile(each[draws].mean(1), PERCENTILES))
            for each in changes
        ]
        lines.append(f"| {kind} | {ours.mean():.3f} | {' | '.join(means)} | {' | '.join(told)} |")
    return [*lines, f"{len(ours)} photos or pairs"]


if __name__ == "__main__":
    main()
