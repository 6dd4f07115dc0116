import json
import re
from typing import get_args

import pytest
from support.strategies import MINIMAL, written

from kcars.backbones.catalogue import those
from kcars.core.errors import KcarsError
from kcars.losses.catalogue import LOSSES
from kcars.settings import Strategy
from kcars.settings.strategy import acronym, configs_folder, json_schema, load_strategy, strategy_files, to_yaml


@pytest.mark.parametrize("name", strategy_files())
def test_every_shipped_strategy_loads_and_says_what_it_is(name):
    strategy = load_strategy(name)
    assert strategy.about
    assert "kcars train" in strategy_files()[name].read_text()


@pytest.mark.parametrize("name", [name for name in strategy_files() if "/" not in name])
def test_the_papers_names_and_contents_hold_together(name):
    strategy = load_strategy(name)
    suffix = name.removeprefix(acronym(strategy))
    scratch = strategy.model.weights == "none"
    assert scratch == (suffix == "_SCR" or strategy.model.backbone.startswith("simple_"))
    if suffix not in ("", "_SCR"):  # Table IV: target and difficulty.
        target, difficulty = {"make": "Mk", "model": "Md"}[strategy.target], strategy.difficulty[0].upper()
        assert suffix == f"_{target}{difficulty}"


def test_all_rows_of_the_papers_tables_are_there():
    names = [name for name in strategy_files() if "/" not in name]
    assert len(names) == 8 + 8 + 4 + 6
    tables = [load_strategy(name).about for name in names]
    assert [tables.count(f"paper, Table {table}") for table in ("I", "II", "III", "IV")] == [8, 8, 4, 6]


def test_what_is_printed_loads_again(tmp_path):
    strategy = load_strategy("scratch/verify")
    assert load_strategy(written(tmp_path, to_yaml(strategy))) == strategy


def test_schema_beside_the_strategies_is_current():
    assert (configs_folder() / "strategy.schema.json").read_text() == json_schema()
    assert "train" in json.loads(json_schema())["properties"]


def test_off_is_a_word_and_true_is_none(tmp_path):
    path = written(tmp_path, MINIMAL)
    changed = load_strategy(path, ("data.cache=off", "train.deterministic=on", "evaluate.mirror=false"))
    assert (changed.data.cache, changed.train.deterministic, changed.evaluate.mirror) == ("off", "on", False)
    (tmp_path / "again.yaml").write_text(to_yaml(changed))
    assert load_strategy(str(tmp_path / "again.yaml")) == changed


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            ["model.backbone=resnet50", "model.width=0.5"],
            "resnet50 has one size: set model.width=1 and model.stem=standard",
        ),
        (["model.weights=imagenet"], f"simple_resnet has no ImageNet weights; {', '.join(those('imagenet'))} have"),
        (["model.backbone=resnet50", "model.weights=imagenet"], "needs model.normalization caffe, width 1"),
        (["model.auxiliary=0.4"], "model.auxiliary belongs to task classify with backbone inception_v3"),
        (
            ["model.backbone=resnet50", "model.width=1", "model.stem=standard", "model.drop_path=0.1"],
            "model.drop_path belongs to convnext_tiny, dinov2_small, resnet18, simple_resnet, ",
        ),
        (
            ["model.backbone=dinov2_small", "model.width=1", "model.stem=standard", "data.size_px=200"],
            "data.size_px 200: dinov2_small needs a multiple of 14, such as 196 or 210",
        ),
        (
            [
                "model.backbone=dinov2_small",
                "model.width=1",
                "model.stem=standard",
                "data.size_px=196",
                "data.first_px=98",
            ],
            "data.first_px: dinov2_small does not support progressive resizing",
        ),
    ],
)
def test_what_a_backbone_has_not_is_refused(tmp_path, changes, told):
    with pytest.raises(KcarsError, match=told):
        load_strategy(written(tmp_path, MINIMAL), changes)


@pytest.mark.parametrize(
    ("strategy", "changes", "told"),
    [
        ("demo/classify", ["model.projection=64"], "model.projection 64 belongs to task verify"),
        (
            "demo/verify",
            ["model.projection=64"],
            "model.projection belongs to model.head features with data.order plain or",
        ),
        ("quick/verify", ["model.projection=64"], "model.projection 64 belongs to train.method gradient"),
        (
            "demo/verify",
            ["evaluate.directions=9"],
            "evaluate.directions belongs to evaluate.distance lda or weighted_lda",
        ),
        ("demo/classify", ["evaluate.directions=9"], "evaluate.directions 9 belongs to task verify"),
    ],
)
def test_a_setting_without_what_it_belongs_to_is_refused(strategy, changes, told):
    with pytest.raises(KcarsError, match=told):
        load_strategy(strategy, changes)


def test_overrides(tmp_path):
    path = written(tmp_path, MINIMAL)
    strategy = load_strategy(
        path, ("train.epochs=3", "train.learning_rate=2e-4", "data.augment=flip(0.5)"), target="make"
    )
    assert (strategy.train.epochs, strategy.train.learning_rate, strategy.target) == (3, 2e-4, "make")
    assert strategy.data.augment == "flip(0.5)"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("train.epoch=3",), r"train\.epoch: unknown setting; choose one of epochs, batch"),
        (("train.plateau.patients=3",), r"train\.plateau\.patients: unknown setting; choose one of monitor, factor"),
        (("train=null", "train.epochz=3"), r"train\.epochz: unknown setting; choose one of epochs"),
        (("train.epochs=-3",), r"train\.epochs: .*greater.*\(found -3\)"),
        (("train.epochs=three",), r"train\.epochs: .*integer.*\(found 'three'\)"),
        (("train.epochs=2.5",), r"train\.epochs: .*\(found 2\.5\)"),
        (("train.epochs",), r"--set train\.epochs: expected key=value"),
        (("task.name=1",), r"--set task\.name=1: task is a single value"),
        (("data.order=pairs",), "data.order pairs belongs to task verify"),
        (("loss.gamma=2",), r"loss\.gamma: unknown setting of cross_entropy; choose one of name, label_smoothing"),
        (
            ("loss.label_smoothing=0.1", "loss.name=focal"),
            r"loss\.label_smoothing: unknown setting of focal; .*--set 'loss={name: NAME}' replaces the whole loss",
        ),
        (("loss={name: focal, alpha: inverse}",), r"loss\.alpha: expected a number above 0, .* \(found 'inverse'\)"),
        (("loss={name: focal, alpha: [1, -2]}",), r"loss\.alpha: expected .*or a list of numbers"),
        (("loss={name: focal, alpha: 0}",), r"loss\.alpha: expected a number above 0"),
        (("loss={name: focal, alpha: [0, 0]}",), r"loss\.alpha: .*one of them above 0"),
        (
            ("model.weights=",),
            r"model\.weights: expected a text \(found nothing\); the default is none: --set model\.weights=none",
        ),
        (('model.weights=""',), r"the default is none: --set model\.weights=none"),
        (
            ("second_loss=none",),
            r"second_loss: expected a section of settings, such as \{weight: 0\.5, loss: \{name: multi_similarity\}\}, not a "
            r"single value \(found 'none'\); --set second_loss=null unsets it",
        ),
        (("train.plateau=none",), r"single value \(found 'none'\); --set train\.plateau=null unsets it"),
        (("evaluate.folds=none",), r"evaluate\.folds: .*\(found 'none'\); --set evaluate\.folds=null unsets it"),
        (("loss=none",), r"loss: expected a section of settings, such as \{name: NAME\}, not a single value"),
        (("loss=focal",), r"loss: expected a section of settings, such as \{name: focal\}, not a single value"),
        (("balance=null",), r"balance: expected a section of settings, not a single value \(found nothing\)$"),
        (("data.augment=",), r"data\.augment: expected a text \(found nothing\); for an empty text use"),
        (
            ("loss.name=focus",),
            r"loss\.name: 'focus' is not known; choose one of cross_entropy, focal, sigmoid_focal",
        ),
        (("second_loss={weight: 1, loss: {name: arcface}}",), "choose one of contrastive, multi_similarity, triplet"),
        (("loss=focus",), r"loss.*'focus'"),
        (("loss={gamma: 2}",), r"loss\.name: None is not known; choose one of cross_entropy"),
        (("train.save_minutes=.inf",), r"train\.save_minutes: .*finite.*\(found inf\)"),
        (("loss={name: focal, gamma: .nan}",), r"loss\.gamma: .*finite.*\(found nan\)"),
        (("loss.label_smoothing=1",), r"loss\.label_smoothing: .*less than 1"),
        (("data.order=pk", "train.batch=6"), "not a multiple"),
    ],
)
def test_wrong_overrides_are_one_clear_line(tmp_path, change, message):
    with pytest.raises(KcarsError, match=message) as error:
        load_strategy(written(tmp_path, MINIMAL), change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: [classify", "not valid YAML"),
        ("- a\n- b\n", "contains a list"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        (MINIMAL + "task: verify\n", "is given twice"),
        (MINIMAL.replace("data: {size_px: 64}", ""), "data: required, but missing"),
        ("", "contains nothing"),
        ("{a: 1}: 2", "a key is not a text"),
        ("about: 2026-99-99", "not valid YAML"),
    ],
)
def test_malformed_files_are_one_clear_line(tmp_path, text, message):
    with pytest.raises(KcarsError, match=message) as error:
        load_strategy(written(tmp_path, text))
    assert "\n" not in str(error.value)
    assert "mine.yaml" in str(error.value)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(KcarsError, match="demo/verify"):
        load_strategy("no/such")
    with pytest.raises(KcarsError, match="no such file"):
        load_strategy("no/such.yaml")


def test_the_command_line_may_not_contradict_a_strategy():
    with pytest.raises(KcarsError, match="--task classify: strategy demo/verify is for task verify"):
        load_strategy("demo/verify", task="classify")


def test_by_make_hard_pairs_are_undefined():
    assert load_strategy("demo/verify").difficulty == "hard"
    assert load_strategy("demo/verify", target="make").difficulty == "medium"
    by_make = load_strategy("demo/verify", target="make", difficulty="hard")
    assert (by_make.difficulty, by_make.monitored_difficulty) == ("hard", "medium")
    as_listed = load_strategy("demo/verify", ["evaluate.protocol=paper"], target="make", difficulty="hard")
    assert as_listed.monitored_difficulty == "hard"


def _optional(model, place=""):
    """Places of all settings that may be unset."""
    for name, field in model.model_fields.items():
        sections = [
            one
            for one in (field.annotation, *getattr(field.annotation, "__args__", ()))
            if hasattr(one, "model_fields")
        ]
        if field.default is None:
            yield place + name
        elif len(sections) == 1:
            yield from _optional(sections[0], f"{place}{name}.")


OPTIONAL = sorted(_optional(Strategy))


def test_there_are_settings_that_may_be_unset():
    assert {"second_loss", "train.fine_tune", "train.plateau", "evaluate.folds", "data.first_px"} <= set(OPTIONAL)


@pytest.mark.parametrize("setting", OPTIONAL)
def test_every_optional_setting_is_unset_by_null_and_says_so(tmp_path, setting):
    load_strategy(written(tmp_path, MINIMAL), (f"{setting}=null",))
    with pytest.raises(KcarsError, match=re.escape(f"--set {setting}=null unsets it")):
        load_strategy(written(tmp_path, MINIMAL), (f"{setting}=none",))


def described(model, place=""):
    """(key, description) of every setting, but for the names that choose a loss."""
    for name, field in model.model_fields.items():
        section = next(
            (one for one in (field.annotation, *get_args(field.annotation)) if hasattr(one, "model_fields")), None
        )
        if section:
            yield from described(section, f"{place}{name}.")
        elif not (name == "name" and model in [loss.settings for loss in LOSSES.values()]):
            yield place + name, field.description


@pytest.mark.parametrize("model", [Strategy, *(loss.settings for loss in LOSSES.values())])
def test_every_setting_says_what_it_is(model):
    found = dict(described(model))
    assert [key for key, description in found.items() if not description] == []
    assert model is not Strategy or len(found) > 50
