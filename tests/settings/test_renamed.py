"""Former names of settings: read as ever, with one line that names the present one."""

import pytest

from kcars.core.errors import KcarsError
from kcars.settings.renamed import RENAMED
from kcars.settings.strategy import check, load_strategy, to_yaml

OLD = "evaluate.metric"


def test_a_former_name_on_the_command_line_is_read_with_one_line(capsys):
    strategy = load_strategy("demo/verify", [f"{OLD}=lda"])
    assert strategy.evaluate.distance == "lda"
    told = capsys.readouterr().err.splitlines()
    assert told == [f"--set {OLD}=lda: {OLD} is now called evaluate.distance; the former name is deprecated"]


def test_a_former_name_in_a_file_is_read_with_one_line(tmp_path, capsys):
    file = tmp_path / "old.yaml"
    file.write_text(to_yaml(load_strategy("scratch/verify")).replace("distance: weighted_lda", "metric: lda"))
    assert load_strategy(str(file)).evaluate.distance == "lda"
    assert capsys.readouterr().err.splitlines() == [
        f"{file}: {OLD} is now called evaluate.distance; the former name is deprecated"
    ]
    assert load_strategy(str(file), ["evaluate.distance=whitened"]).evaluate.distance == "whitened"


def test_the_settings_of_an_earlier_run_are_read_without_a_word(capsys):
    settings = load_strategy("scratch/verify").model_dump()
    settings["evaluate"]["metric"] = settings["evaluate"].pop("distance")
    assert check(settings, "run.json").evaluate.distance == "weighted_lda"
    assert settings["evaluate"]["metric"] == "weighted_lda", "what is given is not changed"
    assert capsys.readouterr().err == ""


def test_both_names_at_once_are_refused():
    settings = load_strategy("scratch/verify").model_dump()
    settings["evaluate"]["metric"] = "lda"
    with pytest.raises(KcarsError, match=f"{OLD}: unknown setting"):
        check(settings, "a file")


def test_every_present_name_is_a_setting():
    for new in RENAMED.values():
        section, name = new.split(".")
        assert name in load_strategy("demo/verify").model_dump()[section]
