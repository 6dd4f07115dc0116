"""Settings that later versions added do not stop runs that began without them."""

from kcars.settings import Strategy
from kcars.settings.effects import defaults_added_later


def test_each_has_its_default_in_a_strategy_that_lacks_it():
    later = defaults_added_later()
    assert {"train.method", "model.square_root"} <= later.keys()
    for name, default in later.items():
        section, key = name.split(".")
        assert Strategy.model_fields[section].annotation.model_fields[key].default == default
