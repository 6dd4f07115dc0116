"""Formats predictions as text, JSON or CSV."""

from collections.abc import Callable, Iterator

from kcars.core.csv_files import csv_row
from kcars.core.plain_text import json_line
from kcars.inference.predictions import Comparison, Prediction, percent
from kcars.posthoc.decision import PairDecision

CSV_HEAD = ("photo", "left", "top", "right", "bottom", "answer", "rank", "name", "probability", "known")


def writer(kind: str | None) -> Callable[[Prediction], Iterator[str]]:
    """Return a function from a prediction to its lines: `kind` json, csv (with a header first), or None for text."""
    if kind == "json":
        return _json
    if kind == "csv":
        head = iter([csv_row(CSV_HEAD)])
        return lambda prediction: (line for part in (head, _rows(prediction)) for line in part)
    return _text


def _json(prediction: Prediction) -> Iterator[str]:
    named = {
        key: [{"name": name, "probability": round(probability, 6)} for name, probability in getattr(prediction, key)]
        for key in ("names", "makes")
    }
    yield json_line(
        {
            "photo": prediction.photo,
            "box": prediction.box,
            "answer": prediction.answer,
            "known": prediction.known,
            **named,
        }
    )


def _rows(prediction: Prediction) -> Iterator[str]:
    box = prediction.box or ("",) * 4
    for rank, (name, probability) in enumerate(prediction.names, 1):
        yield csv_row(
            (prediction.photo, *box, prediction.answer, rank, name, f"{probability:.6f}", int(prediction.known))
        )


def _text(prediction: Prediction) -> Iterator[str]:
    where = "" if prediction.box is None else f" [{', '.join(f'{edge:g}' for edge in prediction.box)}]"
    sure = "" if prediction.known else "  (unknown: confidence too low)"
    yield f"{prediction.photo}{where}{sure}"
    for name, probability in prediction.names:
        yield f"  {percent(probability, 1):>6}  {name}"
    if prediction.makes:
        yield "  makes: " + ", ".join(f"{name} {percent(probability, 1)}" for name, probability in prediction.makes[:3])


def comparison_line(found: Comparison, card: dict, as_json: bool) -> str:
    """Format a comparison as one line."""
    threshold = PairDecision.of(card["decision"]).threshold
    if as_json:
        facts = {name: getattr(found, name) for name in ("left", "right", "answer", "same", "distance", "probability")}
        return json_line({**facts, "threshold": threshold})
    answer = {
        "same": f"same {card['target']}",
        "different": f"different {card['target']}s",
        "unknown": "unknown: confidence too low",
    }
    return (
        f"{answer[found.answer]}; probability of the same {card['target']} {percent(found.probability)}, distance {found.distance:.3f}, "
        f"threshold {threshold:.3f}"
    )
