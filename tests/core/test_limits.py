"""Limits: defaults, changes by the environment, and the command that lists them."""

import pytest
from click.testing import CliRunner

from kcars.cli import main
from kcars.core.errors import KcarsError
from kcars.core.limits import VARIABLE, Limits, limits


def test_the_environment_changes_a_limit(monkeypatch):
    monkeypatch.setenv(VARIABLE, "photo_mib=128, yaml_nodes=5")
    assert (limits().photo_mib, limits().yaml_nodes) == (128, 5)
    assert limits().photo_megapixels == Limits().photo_megapixels


@pytest.mark.parametrize(
    "text",
    [
        "photo_mib",
        "photo_mb=1",
        "photo_mib=0",
        "photo_mib=-1",
        "photo_mib=nan",
        "photo_mib=",
        "photo_mib=5 photo_mib=6",
    ],
)
def test_what_is_no_limit_is_refused_with_its_name(text):
    with pytest.raises(KcarsError, match=text.partition("=")[0]):
        Limits.parse(text)


def test_the_command_lists_every_limit_and_what_was_changed(monkeypatch):
    monkeypatch.setenv(VARIABLE, "yaml_nodes=5")
    result = CliRunner().invoke(main, ["limits"])
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()] == list(Limits.model_fields)
    assert f"({VARIABLE}; the default is {Limits().yaml_nodes})" in result.output


def test_a_wrong_limit_is_one_line(monkeypatch):
    monkeypatch.setenv(VARIABLE, "photo_mib=many")
    result = CliRunner().invoke(main, ["limits"])
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
