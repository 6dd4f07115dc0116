"""A backbone is one file: what it registers appears everywhere, with no other edit; and what is wrong with it is told."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from support.commands import kcars, small
from support.one_file import registered, write_package
from support.paths import ROOT

from kcars.backbones.catalogue import BACKBONES, Backbone, those
from kcars.core.catalogue import Catalogue
from kcars.core.errors import KcarsError
from kcars.settings.strategy import json_schema, load_strategy

ONE_FILE = '''
"""Two convolutions."""

from kcars.backbones.catalogue import BACKBONES, Backbone


def grid(images, scale):
    from keras import layers

    x = layers.Conv2D(8, 3, strides=4, padding="same", activation="relu", name="one_conv")(images)
    return layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="two_conv")(x)


BACKBONE = BACKBONES.register(
    Backbone("tiny", grid, ("one_.*", "two_.*"), smallest_px=16, heat_grid="two_conv", short={"classify": "Tiny"})
)
'''


@pytest.fixture
def tiny(tmp_path):
    with registered(BACKBONES, "tiny", ONE_FILE, tmp_path) as backbone:
        yield backbone


def test_what_one_file_registers_is_in_settings_schema_and_messages(tiny):
    strategy = load_strategy("scratch/classify", ["model.backbone=tiny", "model.width=1", "model.stem=standard"])
    assert strategy.model.backbone == "tiny"
    assert "tiny" in json.loads(json_schema())["$defs"]["ModelSettings"]["properties"]["backbone"]["enum"]
    with pytest.raises(KcarsError, match="model.backbone: is not known; choose one of .*, tiny"):
        load_strategy("scratch/classify", ["model.backbone=tinier"])
    with pytest.raises(
        KcarsError, match="tiny has one size: set model.width=1 and model.stem=standard .*resnet18, simple_resnet"
    ):
        load_strategy("scratch/classify", ["model.backbone=tiny", "model.width=0.5", "model.stem=standard"])
    with pytest.raises(KcarsError, match="model.weights imagenet: tiny has no ImageNet weights"):
        load_strategy(
            "scratch/classify",
            ["model.backbone=tiny", "model.width=1", "model.stem=standard", "model.weights=imagenet"],
        )
    with pytest.raises(KcarsError, match="frozen_stages 3: tiny has 2"):
        tune = ["model.weights=a.safetensors", "train.fine_tune={frozen_stages: 3}"]
        load_strategy("scratch/classify", ["model.backbone=tiny", "model.width=1", "model.stem=standard", *tune])
    assert "tiny" not in those("scalable")


@pytest.mark.slow
def test_it_trains_scores_names_and_explains(tiny, drawn, tmp_path):
    run, photo = tmp_path / "run", next((drawn / "image").rglob("*.jpg"))
    changes = small("model.backbone=tiny", "model.width=1", "model.stem=standard", "train.epochs=1")
    told = kcars("train", "--task", "classify", "--data", drawn, "--out", run, *changes)
    assert "balanced acc" in told
    assert "known" in kcars("predict", photo, "--model", run, "--json")
    kcars("explain", run, photo, "--out", tmp_path / "why.png")


def test_a_name_stands_once_and_a_package_that_cannot_be_loaded_is_named(tmp_path):
    with pytest.raises(KcarsError, match="backbone resnet18: is registered by .* and by .*; rename one"):
        BACKBONES.register(Backbone("resnet18", print, ()))
    write_package(tmp_path, "broken", "[kcars.backbones]\nbroken = broken_module\n")
    program = "from kcars.settings.strategy import load_strategy; load_strategy('scratch/classify')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""},
    )
    assert "backbone broken: broken_module (kcars.backbones) cannot be loaded (No module named" in done.stderr


def test_entry_points_of_installed_packages_are_found(tmp_path):
    write_package(tmp_path, "tiny", "[kcars.backbones]\ntiny = tiny_backbone:BACKBONE\n")
    (tmp_path / "tiny_backbone.py").write_text(ONE_FILE)
    program = "from kcars.backbones.catalogue import BACKBONES; print(list(BACKBONES))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""},
    )
    assert "'tiny'" in done.stdout and "'resnet18'" in done.stdout


def test_a_catalogue_is_a_mapping():
    found = Catalogue("thing", "kcars", (), "kcars.nothing")
    assert len(found) == 0 and found.get("a") is None and list(found) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": ("one_.*",)}, "no stage matches layer two_conv; exactly one of"),
        ({"stages": ("one_.*", ".*")}, r"stages one_\.\* and \.\* match layer one_conv"),
        ({"heat_grid": "three_conv"}, "heat_grid three_conv matches no layer"),
        ({"grid": "vector"}, r"its grid has shape \(None, 16\)"),
    ],
)
def test_what_a_record_gets_wrong_is_reported_when_it_is_built(tiny, changes, message):
    from keras import layers

    from kcars.backbones.build import build_backbone

    record = BACKBONES["tiny"]
    if changes.get("grid"):
        changes = {"grid": lambda images, scale: layers.GlobalAveragePooling2D()(record.grid(images, scale))}
    BACKBONES.forget("tiny")
    BACKBONES.register(replace(record, **changes))
    try:
        with pytest.raises(KcarsError, match=f"backbone tiny: .*{message}"):
            build_backbone("tiny", 32)
    finally:
        BACKBONES.forget("tiny")
        BACKBONES.register(record)
