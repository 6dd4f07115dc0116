"""Renders predictions as self-contained HTML with embedded pictures."""

import base64
from functools import cache
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kcars.core.errors import KcarsError
from kcars.core.plain_text import printable
from kcars.demo.answers import Compared, Found, Named
from kcars.demo.models import Model
from kcars.gallery.photos import Kept, content_of
from kcars.gallery.search import Match
from kcars.images.decode import cut, full_size
from kcars.images.heat import strongest
from kcars.images.thumbnail import jpeg
from kcars.inference import predictions
from kcars.inference.explain import HeatMap
from kcars.metrics.catalogue import columns
from kcars.posthoc.decision import PairDecision
from kcars.tasks.texts import task_texts

MAP_PX, MATCH_PX = 560, 320


def named(answer: Named, model: Model) -> str:
    """Render the first name, bars of the most probable names, and the heat map."""
    maps = [_map(answer.heat_map, "Heat map")] if answer.heat_map else []
    found = answer.prediction
    return _render("named", found=found, makes=found.makes[:3], maps=maps, no_maps=model.no_maps)


def compared(answer: Compared, model: Model) -> str:
    """Render the decision, the distance on a scale with the threshold, and both heat maps."""
    threshold, distance = PairDecision.of(model.card["decision"]).threshold, answer.comparison.distance
    end = max(2 * threshold, 1.1 * distance, 1e-9)
    maps = [_map(one, caption) for one, caption in zip(answer.heat_maps, ("First photo", "Second photo"), strict=False)]
    return _render(
        "compared",
        found=answer.comparison,
        target=model.card["target"],
        threshold=threshold,
        places={"distance": 100 * distance / end, "threshold": 100 * threshold / end},
        maps=maps,
        no_maps=model.no_maps,
    )


def found(answer: Found, model: Model) -> str:
    """Render the nearest name, if any, and a card for each photo found."""
    threshold = PairDecision.of(model.card["decision"]).threshold
    matches = [_match(match, threshold) for match in answer.result.matches]
    prediction = answer.prediction
    unknown = prediction is not None and not prediction.known
    return _render("found", prediction=prediction, unknown=unknown, matches=matches, target=model.card["target"])


def fault(message: str) -> str:
    """Render an error message."""
    return _render("fault", message=message)


def hint(message: str) -> str:
    """Render a hint for visitors."""
    return _render("hint", message=message)


def about(model: Model) -> str:
    """Render a short description of the model and its score."""
    card = model.card
    return _render(
        "about",
        card=card,
        place=Path(card["place"]).name or card["place"],
        score=_score(card),
        boxed=card["input"]["learned_in_boxes"],
    )  # fmt: skip


def _score(card: dict) -> dict | None:
    """Return the main score with its interval; None if it is missing or undefined."""
    split = card.get("deciding") if task_texts(card["task"]).of_pairs else ""
    ends = f"{split}/{columns(card['task'])[0]}"
    found = (one for key, one in card.get("scores", {}).items() if key.endswith(ends) and one["value"] is not None)
    return next(found, None)


def _match(match: Match, threshold: float) -> dict:
    return {
        "name": match.name,
        "file": Path(match.kept.path).name,
        "distance": match.distance,
        "probability": match.probability,
        "within": match.distance <= threshold,
        "picture": _picture_of(match.kept),
    }


def _picture_of(kept: Kept) -> str | None:
    """Return the embedded part of a photo; None if its file is missing or has changed."""
    try:
        pixels = full_size(content_of(kept))
        return _data_address(cut(pixels, kept.box, 0.0), MATCH_PX)
    except (KcarsError, ValueError):
        return None


def _map(heat_map: HeatMap, caption: str) -> dict:
    where = strongest(heat_map.heat)
    return {
        "caption": caption,
        "alt": f"Heat map; strongest region: {where}" if where else "Heat map without heat",
        "cold": not where,
        "picture": _data_address(heat_map.overlay(), MAP_PX),
    }


def _data_address(pixels: np.ndarray, most_px: int) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(pixels, most_px)).decode()


@cache
def _templates() -> Environment:
    loader = PackageLoader("kcars.demo")
    environment = Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_in_page,
    )
    environment.filters["percent"] = percent
    return environment


def _in_page(value: object) -> object:
    """Make texts `printable`, because invalid UTF-8 in a name would prevent sending the page."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def percent(share: float) -> str:
    """Format a share with non-breaking spaces, "> 99 %"."""
    space = "\N{NO-BREAK SPACE}"
    return predictions.percent(share).replace("%", f"{space}%").replace("<", f"<{space}").replace(">", f">{space}")


def _render(template: str, **values) -> str:
    return _templates().get_template(f"{template}.html").render(**values)
