from kcars.evaluation.score_table import run_table, score_table

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
        "deciding": "hard",
        "cost": {
            "size_px": 96,
            "parameters": 2_345_678,
            "multiply_adds": 270_000_000,
            "photos_per_epoch": 640,
            "seconds_per_epoch": 3.14,
            "epochs": 5,
        },
        "scores": dict.fromkeys(keys, ENTRY),
        "baselines": {"raw pixels": dict.fromkeys(keys, 0.5)},
    } | changes


def test_the_chosen_difficulty_leads_and_baselines_stand_beside():
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
    assert "3 test photos are of classes without training photos" in text


def test_the_papers_protocol_is_named_and_warned_of():
    text = score_table(found(protocol="paper"))
    assert "protocol paper" in text.splitlines()[0]
    assert "the scores are too optimistic" in text
    assert "chosen on the test pairs" in text


def test_runs_stand_a_line_each_with_their_cost():
    second = found(cost={**found()["cost"], "size_px": 128, "multiply_adds": 480_000_000}, best_epoch=4)
    lines = run_table({"runs/a": found(), "runs/b": second}).splitlines()
    assert lines[0] == "verify model" and "hard ROC-AUC [95 %]" in lines[2]
    assert lines[4].split()[:8] == ["runs/a", "96", "2.3", "M", "0.27", "G", "3.1", "3/5"]
    assert lines[5].split()[:8] == ["runs/b", "128", "2.3", "M", "0.48", "G", "3.1", "4/5"]
    assert len({len(line) for line in lines[2:]}) == 1


def test_runs_of_other_tasks_stand_in_a_block_of_their_own():
    both = run_table({"a": found(), "b": found(target="make", difficulty="medium")})
    assert both.count("\n\nverify make\n") == 1


def test_what_an_epoch_cost_stands_below():
    told = "cost: 96 px, 2,345,678 parameters, 0.27 G multiply-adds per photo; 5 epochs of 640 photos, 3.1 s each"
    assert told in score_table(found())


def test_retrieval_stands_in_a_block_of_its_own_with_its_baselines():
    keys = [f"retrieval/{name}" for name in ("recall@1", "recall@5", "map@R")]
    more = found()["scores"] | dict.fromkeys(keys, {"value": 0.25, "low": 0.125, "high": 0.375})
    rivals = {"raw pixels": found()["baselines"]["raw pixels"] | dict.fromkeys(keys, 0.0625)}
    lines = score_table(found(scores=more, baselines=rivals)).splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("retrieval"))
    assert lines[place - 2].split() == ["recall@1", "[95", "%]", "recall@5", "[95", "%]", "mAP@R", "[95", "%]"]
    assert lines[place].split() == ["retrieval", *["0.250", "[0.125,", "0.375]"] * 3]
    assert lines[place + 1].split() == ["raw", "pixels", *["0.062"] * 3]
    assert lines[4].startswith("hard") and not any(line.startswith("retrieval") for line in lines[:place])
    assert "recall@1" not in score_table(found())  # As an earlier kcars scored.


def test_the_last_epoch_is_not_called_the_best():
    last = found(kept="last", best_epoch=5)
    assert "protocol honest, last epoch 5, data abc" in score_table(last) and "best epoch" not in score_table(last)
    assert "protocol honest, best epoch 3, data abc" in score_table(found(kept="best"))
    assert "best epoch 3" in score_table(found())  # As an earlier kcars scored, which knew no other.
    assert run_table({"a": last, "b": found()}).count("5/5 (last)") == 1


def classified(**changes):
    keys = [f"test/{name}" for name in ("balanced_accuracy", "accuracy", "top5", "macro_f1")]
    return found(task="classify", difficulty=None, scores=dict.fromkeys(keys, ENTRY), **changes)


def test_runs_tell_by_which_metric_or_adjustment_they_are_scored():
    texts = {
        "whitened": found(metric="whitened"),
        "euclidean": found(),
        "none": classified(),
        "logits 1.25": classified(adjusted={"kind": "logits", "tau": 1.25}),
        "class_means": classified(adjusted={"kind": "class_means", "tau": None}),
    }
    blocks = [block.splitlines() for block in run_table(texts).split("\n\n")]
    assert [blocks[1][0].split()[6], blocks[3][0].split()[6]] == ["metric", "adjust"]
    for line in (*blocks[1][2:], *blocks[3][2:]):
        name = next(name for name in texts if line.startswith(name))
        assert line.count(name) == 2, line
