"""Names that a stranger chose, on the demo page: what they may do to it, and to who reads its terminal."""

import asyncio
from types import SimpleNamespace

import pytest

from kcars.core.errors import KcarsError
from kcars.demo import shown
from kcars.demo.answers import Found, Named
from kcars.demo.guard import SECURITY, Guard
from kcars.demo.hosts import Hosts
from kcars.demo.serve import open_port
from kcars.gallery.photos import Kept
from kcars.gallery.search import Match, SearchResult
from kcars.inference.predictions import Prediction

BAD = "Fiat \udcff\x1b[31m\u202e<b>"
TOLD = "Fiat \\xff\\x1b[31m\\u202e&lt;b&gt;"


def test_a_name_that_is_no_utf_8_does_not_stop_the_page():
    """Of a class, of a photo in an index and of its folder: an answer that holds it as it is cannot be sent."""
    card = {"decision": {"threshold": -1.0}, "target": "model", "task": "verify", "deciding": "hard", "scores": {}}
    card |= {"place": f"runs/{BAD}", "input": {"learned_in_boxes": False}}
    model = SimpleNamespace(card=card, no_maps=f"No map of {BAD}", task="verify")
    prediction = Prediction("car.jpg", ((BAD, 0.75),), ((BAD, 0.9),), BAD)
    match = Match(Kept(f"/none/{BAD}/{BAD}.jpg", "0" * 32, BAD, BAD), BAD, 0.5, 0.6)
    found = Found(SearchResult("car.jpg", None, (match,)), prediction)
    for page in (
        shown.named(Named(prediction), model),
        shown.found(found, model),
        shown.about(model),
        shown.fault(f"{BAD}: cannot be read"),
    ):
        assert page.encode("utf-8") and TOLD in page
        assert not {"\x1b", "\u202e"} & set(page) and "<b>" not in page


@pytest.mark.parametrize("task", ["classify", "verify"])
@pytest.mark.parametrize("scores", [None, {}, {"value": None}, {"value": 0.5}, {"value": 0.5, "low": 0.1}, {"value": 0.5, "high": 0.9}])  # fmt: skip
def test_a_card_with_fewer_scores_is_shown_all_the_same(task, scores):
    """Cards may leave them out, and a score is undefined where the test had pairs of one kind alone."""
    card = {"task": task, "target": "model", "place": "x", "input": {"learned_in_boxes": False}}
    card["classes"] = {"names": ["a"], "makes": []}
    names = {"classify": "test/balanced_accuracy", "verify": "hard/roc_auc"}
    if scores is not None:
        card["deciding"] = "hard"
        card["scores"] = {names[task]: scores} if scores else {}
    page = shown.about(SimpleNamespace(card=card, task=task))
    assert ("0.50" in page) == bool(scores and scores["value"]) and "95 %" not in page


@pytest.mark.parametrize("host", ["m\xfcnchen..de", "\udcff", "", "a..b", "a" * 64, "[::1]", "a b", "\x00", "http://localhost"])  # fmt: skip
def test_a_host_that_can_be_none_is_told_in_a_line(host):
    with pytest.raises(KcarsError, match="--host .*: expected an address or name"):
        open_port(host, 0)


@pytest.mark.parametrize("begun", [False, True])
def test_a_fault_is_told_in_one_short_line(capsys, begun):
    """Whatever a request finds wrong in Gradio: visitors may not fill the terminal, nor write its escapes."""

    async def fails(scope, receive, send):
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("\x1b[2J\n" + "a" * 10_000)

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", b"localhost")]}
    asyncio.run(Guard(fails, Hosts("127.0.0.1"), None, None)(scope, None, send))
    told = capsys.readouterr().err
    assert told.startswith("kcars demo: GET /: RuntimeError: \\x1b[2J\\n") and told.count("\n") == 1 and len(told) < 400
    assert [one["status"] for one in sent if "status" in one] == ([200] if begun else [500])
    names = {name for name, _ in sent[0]["headers"]}
    assert {name.lower().encode() for name in SECURITY} <= names
