import json

import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.inference.predictions import Answers
from kcars.inference.writers import comparison_line, writer

CURVE = {"least": [0.9, 0.6, 0.2], "coverage": [0.2, 0.7, 1.0], "risk": [0.01, 0.05, 0.3]}


def card(**decision):
    return {
        "task": "classify",
        "target": "model",
        "classes": {"names": ["Audi A4", "BMW X5", "Audi A6"], "makes": ["Audi", "BMW", "Audi"]},
        "decision": {"temperature": 1.0, "answered": CURVE, **decision},
    }


def logits(*probabilities):
    return np.log(np.array(probabilities, np.float32))


def test_a_makes_probability_is_the_sum_over_its_models():
    found = Answers(card()).names("a.jpg", logits(0.3, 0.4, 0.3), 5)
    assert [name for name, _ in found.names] == ["BMW X5", "Audi A4", "Audi A6"]
    assert dict(found.makes) == pytest.approx({"Audi": 0.6, "BMW": 0.4})
    assert found.makes[0][0] == "Audi"
    assert found.answer == "BMW X5"
    assert found.probability == pytest.approx(0.4)


def test_the_temperature_softens():
    sharp, soft = (Answers(card(temperature=t)).names("a", logits(0.8, 0.1, 0.1), 1) for t in (1.0, 3.0))
    assert sharp.probability == pytest.approx(0.8)
    assert soft.probability < sharp.probability
    assert len(soft.names) == 1


@pytest.mark.parametrize(
    ("risk", "answer"), [(None, "Audi A4"), (0.3, "Audi A4"), (0.05, "unknown"), (0.001, "unknown")]
)
def test_unknown_is_said_where_validation_erred_more_often(risk, answer):
    assert Answers(card(), risk).names("a", logits(0.5, 0.3, 0.2), 2).answer == answer


@pytest.mark.parametrize("risk", [0, 1, -0.1, 7])
def test_a_risk_that_is_no_share_is_refused(risk):
    with pytest.raises(KcarsError, match="not an error rate"):
        Answers(card(), risk)


def test_a_model_that_cannot_tell_how_sure_it_must_be_says_so():
    with pytest.raises(KcarsError, match="folds"):
        Answers({**card(), "decision": {"temperature": 1.0}}, 0.1)


def test_pairs_within_the_threshold_are_the_same():
    answers = Answers(card(threshold=-1.0, scale=4.0, offset=1.0))
    near = answers.comparison("a", "b", np.array([1.0, 0]), np.array([1.0, 0.1]))
    far = answers.comparison("a", "b", np.array([1.0, 0]), np.array([-1.0, 0]))
    assert (near.answer, far.answer) == ("same", "different")
    assert near.distance == pytest.approx(0.1)
    assert near.probability > 0.9 > 0.1 > far.probability
    doubtful = Answers(card(threshold=-1.0, scale=4.0, offset=1.0), 0.01)
    assert doubtful.comparison("a", "b", np.array([0.0]), np.array([0.9])).answer == "unknown"


def test_lines_for_people_programs_and_spreadsheets():
    found = Answers(card(), 0.01).names("a, b.jpg", logits(0.5, 0.3, 0.2), 2, (1.0, 2.0, 30.5, 40.0))
    told = "\n".join(writer(None)(found))
    assert "unknown" in told
    assert "50.0%  Audi A4" in told
    (line,) = writer("json")(found)
    assert json.loads(line)["names"][0] == {"name": "Audi A4", "probability": 0.5}
    assert json.loads(line)["box"] == [1, 2, 30.5, 40]
    rows = writer("csv")
    first, second = list(rows(found)), list(rows(found))
    assert first[0].startswith("photo,left")
    assert first[1].startswith('"a, b.jpg",1.0,2.0,30.5,40.0,unknown,1,Audi A4,0.5')
    assert len(first) == 3
    assert len(second) == 2


def test_a_comparison_is_one_line():
    known = {"target": "model", "decision": {"threshold": -1.0, "scale": 4.0, "offset": 1.0}}
    found = Answers({**card(), **known}).comparison("a", "b", np.array([0.0]), np.array([0.5]))
    assert (
        comparison_line(found, known, False)
        == "same model; probability of the same model 88%, distance 0.500, threshold 1.000"
    )
    assert json.loads(comparison_line(found, known, True))["same"] is True


def test_a_class_called_unknown_is_told_from_the_answer():
    from kcars.inference.predictions import Prediction
    from kcars.inference.writers import writer

    sure = Prediction("a.jpg", (("unknown", 0.9),), (), "unknown")
    unsure = Prediction("a.jpg", (("unknown", 0.9),), (), "unknown", known=False)
    assert [json.loads(next(writer("json")(one)))["known"] for one in (sure, unsure)] == [True, False]
    assert "too low" not in next(writer(None)(sure)) and "too low" in next(writer(None)(unsure))
    rows = [list(writer("csv")(one)) for one in (sure, unsure)]
    assert rows[0][0].endswith(",known") and [row[1].rsplit(",", 1)[1] for row in rows] == ["1", "0"]
