"""What a setting can change is written at the setting: what may change in a run that goes on, and what a search may try."""

import pytest

from kcars.core.base_settings import EFFECTS, affects
from kcars.core.errors import KcarsError
from kcars.settings.effects import names_that_affect
from kcars.settings.strategy import load_strategy


def _names(settings: dict, prefix: str = "") -> set[str]:
    parts = [_names(v, f"{prefix}{k}.") if isinstance(v, dict) else {prefix + k} for k, v in settings.items()]
    return set().union(*parts)


def test_every_setting_has_one_effect():
    kinds = [names_that_affect(kind) for kind in EFFECTS]
    assert sum(map(len, kinds)) == len(frozenset().union(*kinds))
    shown = _names(load_strategy("demo/verify").model_dump(exclude={"loss", "second_loss"}))
    assert {name for name in shown if not name.startswith("train.plateau")} - frozenset().union(*kinds) <= {
        "train.fine_tune"
    }


def test_a_section_decides_for_its_settings_but_for_those_that_say():
    assert {"evaluate.protocol", "evaluate.folds", "data.split"} <= names_that_affect("measurement")
    assert {"evaluate.distance", "evaluate.shift"} <= names_that_affect("scoring")
    assert {"train.plateau.factor", "train.fine_tune.head_epochs", "data.augment"} <= names_that_affect("training")


def test_former_names_have_the_effect_of_the_present_ones():
    assert "evaluate.metric" in names_that_affect("scoring") and "evaluate.metric" not in names_that_affect("training")


def test_an_effect_that_is_none_is_refused():
    with pytest.raises(KcarsError, match="affects"):
        affects("everything")
