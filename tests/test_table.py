from kcars.table import score_table

ENTRY = {"value": 0.5, "low": 0.4, "high": 0.6}
NAMES = [
    "roc_auc",
    "balanced_accuracy",
    "accuracy",
    "f1",
    "precision",
    "recall",
    "eer",
    "tar_at_far_1e-2",
    "tar_at_far_1e-3",
]


def found(**changes):
    keys = [f"{split}/{name}" for split in ("easy", "medium", "hard") for name in NAMES]
    return {
        "strategy": "demo/verify",
        "task": "verify",
        "target": "model",
        "difficulty": "hard",
        "protocol": "honest",
        "best_epoch": 3,
        "folds": 0,
        "data_fingerprint": "abc",
        "decision": {"threshold": -0.75},
        "counts": {"test_photos": 9, "missing_photos": 0, "test_photos_of_unknown_classes": 0, "bad_photos": []},
        "scores": dict.fromkeys(keys, ENTRY),
        "baselines": {"raw pixels": dict.fromkeys(keys, 0.5)},
    } | changes


def test_the_chosen_difficulty_leads_and_rivals_stand_beside():
    lines = score_table(found()).splitlines()
    assert lines[4].startswith("hard")
    assert "0.500 [0.400, 0.600]" in lines[4]
    assert lines[5].startswith("  raw pixels")
    assert "protocol honest" in lines[0]
    assert "distance 0.750" in lines[-1]


def test_undefined_is_a_word_said_once():
    scores = found()["scores"] | {"hard/roc_auc": {"value": None, "low": None, "high": None}}
    text = score_table(found(scores=scores))
    assert "undefined" in text
    assert text.count("undefined:") == 1


def test_what_was_left_out_is_told():
    text = score_table(
        found(
            counts={"test_photos": 9, "missing_photos": 2, "test_photos_of_unknown_classes": 3, "bad_photos": ["a.jpg"]}
        )
    )
    assert "2 listed photos are missing" in text
    assert "1 photos cannot be decoded" in text
    assert "3 test photos are of classes that training lacks" in text


def test_the_papers_protocol_is_named_and_warned_of():
    text = score_table(found(protocol="paper"))
    assert "protocol paper" in text.splitlines()[0]
    assert "not an honest estimate" in text
    assert "chosen on the test pairs" in text
