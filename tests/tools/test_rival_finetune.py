"""Names of layers and rates of the rival; its network and losses are other packages', which are not installed here."""

import sys
from importlib.metadata import distribution

import pytest
from support.paths import TOOLS

from kcars.backbones.catalogue import BACKBONES
from kcars.untrusted.torch_file import tensors

sys.path.insert(0, str(TOOLS))
import rival_finetune  # noqa: E402

BLOCKS = [1, 2, 2, 3, 3, 4, 1]


def timm_layers() -> list[str]:
    layers = ["conv_stem", "bn1", "conv_head", "bn2"]
    for stage, blocks in enumerate(BLOCKS):
        parts = ["conv_pw", "bn1", "conv_dw", "bn2"] + (["conv_pwl", "bn3"] if stage else [])
        layers += [f"blocks.{stage}.{block}.{part}" for block in range(blocks) for part in parts]
    return layers


def test_every_layer_but_the_head_has_another_layer_of_the_file():
    before = [sum(BLOCKS[:stage]) for stage in range(len(BLOCKS))]
    source = BACKBONES[rival_finetune.BACKBONE].imagenet
    content = distribution(source.package).locate_file(f"{source.package}/{source.file}").read_bytes()
    expected = {name.rpartition(".")[0] for name in tensors(content)} - {"_fc"}
    found = [rival_finetune.package_name(layer, before) for layer in timm_layers()]
    assert len(found) == len(set(found)) and set(found) == expected


def test_convolutions_get_kernels_of_their_kind():
    before = [sum(BLOCKS[:stage]) for stage in range(len(BLOCKS))]
    assert rival_finetune.package_name("blocks.0.0.conv_pw", before) == "_blocks.0._project_conv"
    assert rival_finetune.package_name("blocks.0.0.bn1", before) == "_blocks.0._bn1"
    assert rival_finetune.package_name("blocks.2.1.conv_pw", before) == "_blocks.4._expand_conv"
    assert rival_finetune.package_name("blocks.2.1.bn3", before) == "_blocks.4._bn2"


def test_the_rate_rises_and_falls_with_the_time_that_passed():
    rates = [rival_finetune.one_cycle(passed) for passed in (0, 0.05, 0.1, 0.55, 1)]
    assert rates == pytest.approx([0, 0.5, 1, 0.5, 0])
