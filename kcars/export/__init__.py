"""Exports a trained model as SavedModel, ONNX and LiteRT. Each file is loaded again and compared with the run."""

import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from kcars.core.errors import KcarsError, one_of
from kcars.core.files import folder_sha256, real_path, writable_folder, write_json, write_text
from kcars.core.plain_text import echo
from kcars.export.checks import Check, compared, describe
from kcars.export.model_card import markdown
from kcars.export.place import LITERT, README, check_place, new_folder, recover
from kcars.inference.predictor import CARD, ONNX, SAVED_MODEL
from kcars.runs import model_card as cards
from kcars.runs.fitted import pipeline_of
from kcars.runs.keras_setup import start
from kcars.runs.run import Run
from kcars.untrusted.reading import refuse_links
from kcars.untrusted.sealed import sealed

FILES = {"saved_model": SAVED_MODEL, "onnx": ONNX, "litert": LITERT}
NEEDED = {"saved_model": (), "onnx": ("tf2onnx", "onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}


def export(run: Run, formats: Sequence[str], out: Path, photos: Callable, force: bool = False, say=echo) -> dict:
    """Export a scored run in some of FILES into the folder `out`, with its card; return the card.

    photos: () -> (description, list of CheckPhoto) for the comparison. Each format is loaded in a process without kcars, and
    its outputs are compared with the run's. Raises KcarsError if a format is unknown, a dependency is not installed, the
    folder has other files, or outputs differ; then nothing is written, and an earlier export is kept.
    """
    _check_formats(formats)
    if (backend := os.environ.get("KERAS_BACKEND", "tensorflow")) != "tensorflow":
        raise KcarsError(f"KERAS_BACKEND={backend}: exports need TensorFlow; unset it for kcars export")
    out, folder = Path(out).absolute(), run.folder.absolute()
    if out.is_relative_to(folder):  # The run folder may contain a link.
        refuse_links(folder, out)
    out = real_path(out)
    recover(out)
    check_place(out, force)
    card = cards.of_run(run)
    with Run.locked(run.folder):
        start(run.strategy().train, "float32")
        from kcars.export.graphs import Graphs
        from kcars.runs.checkpoint import answering_network

        network = answering_network(run)
        pipeline = pipeline_of(run)
        graphs = Graphs(network, card, pipeline)
        check = Check.of(network, pipeline, card, *photos())
        writable_folder(out.parent, "--out")
        try:
            with new_folder(out) as place:
                _write_all(graphs, card, formats, place, check, say)
        except OSError as error:
            raise KcarsError(f"--out {out}: cannot be written ({error.strerror})") from None
    return card


def _check_formats(formats: Sequence[str]) -> None:
    if not formats:
        raise KcarsError(f"--format: is empty; choose from {', '.join(FILES)}")
    for name in formats:
        if name not in FILES:
            raise one_of("--format", name, FILES)
        if missing := [package for package in NEEDED[name] if importlib.util.find_spec(package) is None]:
            raise KcarsError(
                f"--format {name}: {', '.join(missing)} is not installed; run: pip install 'kcars[export]'"
            )


def _write_all(graphs, card: dict, formats: Sequence[str], place: Path, check: Check, say) -> None:
    from kcars.export import formats as writers

    card |= {"files": {}, "checked_on": check.source, "checks": {}}
    for name in dict.fromkeys(formats):
        file = place / FILES[name]
        file.parent.mkdir(parents=True, exist_ok=True)
        getattr(writers, name)(graphs, card, file)
        size = sum(part.stat().st_size for part in file.rglob("*") if part.is_file()) or file.stat().st_size
        card["files"][name] = {"path": FILES[name], "bytes": size, "sha256": folder_sha256(file)}
        card["checks"][name] = compared(name, file, check)
        say(f"{name}: {size / 2**20:.1f} MiB; {describe(card['checks'][name])}")
    write_json(place / CARD, sealed(card))
    write_text(place / README, markdown(card))
