"""The same ImageNet weights, fine-tuned by PyTorch for as many minutes on the same lists, and scored by kcars.

    .venv-bench/bin/python tools/rival_finetune.py --task verify --data DATA --minutes 15 --out FOLDER
        [--size 192] [--rate 1e-3] [--backbone-share 0.1] [--seed 0] [--precision float32|bfloat16]

The network is timm's EfficientNet-Lite0 with the file that `model.weights=imagenet` reads. classify: cross entropy with label smoothing
0.1 and timm's RandAugment (m9, magnitude noise 0.5). verify: pytorch-metric-learning's ArcFaceLoss with its default scale and margin on
256 dimensions, its MPerClassSampler (4 photos a class), random crops, colour jitter. AdamW with one-cycle rates by the
minutes that have passed; the backbone learns at a share of the head's rate, with frozen batch normalization. The minutes are those of training;
photos are decoded before, by kcars, into crops of the size. The last weights are scored as kcars scores its own: mirror
image, the strategy's distance, thresholds from the same validation photos.
"""

import argparse
import json
import math
import time
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace

import numpy as np

BACKBONE = "efficientnet_lite0"
EMBEDDING = 256
PHOTOS_A_CLASS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=("classify", "verify"), required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--backbone-share", type=float, default=0.1)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    plan, store = prepared(options)
    network, photos = trained(plan, store, options)
    scores = scored(plan, network, store, options)
    told = {"photos": photos, **{name: str(value) for name, value in vars(options).items()}, "scores": scores}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "scores.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    print(f"{photos} photos in {options.minutes:g} minutes")
    print("\n".join(f"{name}: {value:.3f}" for name, value in scores.items()))


def prepared(options: argparse.Namespace):
    """kcars' plan of start/<task> on the data, and its decoded photos."""
    from kcars.data.source import load
    from kcars.images.pixel_store import open_store
    from kcars.settings.strategy import load_strategy
    from kcars.tasks import task_module

    settings = [f"data.size_px={options.size}", "data.first_px=null", "target=model", f"train.seed={options.seed}"]
    strategy = load_strategy(f"start/{options.task}", settings)
    dataset = load(options.data, options.task, strategy.data)
    store = open_store(dataset.table, strategy.data)
    return task_module(options.task).plan(dataset.without(store.bad), strategy), store


def pretrained(classes: int):
    """timm's network with the weights of the package."""
    import timm
    import torch

    from kcars.backbones.catalogue import BACKBONES

    network = timm.create_model(f"tf_{BACKBONE}", pretrained=False, num_classes=classes)
    source = BACKBONES[BACKBONE].imagenet
    found = torch.load(distribution(source.package).locate_file(f"{source.package}/{source.file}"), weights_only=True)
    state = network.state_dict()
    for name in state:
        if not name.startswith("classifier.") and not name.endswith("num_batches_tracked"):
            layer, _, tensor = name.rpartition(".")
            state[name] = found[f"{package_name(layer, blocks_before(network))}.{tensor}"]
    network.load_state_dict(state)
    return network


def blocks_before(network) -> list[int]:
    """The number of blocks before each of timm's stages."""
    return [0, *np.cumsum([len(stage) for stage in network.blocks]).tolist()]


def package_name(layer: str, before: list[int]) -> str:
    """The package's name of one of timm's layers: blocks.1.0.conv_pw -> _blocks.1._expand_conv."""
    ends = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    if layer in ends:
        return ends[layer]
    _, stage, block, part = layer.split(".")
    first = stage == "0"  # Whose block has no expansion.
    parts = {
        "conv_pw": "_project_conv" if first else "_expand_conv",
        "conv_dw": "_depthwise_conv",
        "conv_pwl": "_project_conv",
    }
    norms = {"bn1": "_bn1" if first else "_bn0", "bn2": "_bn2" if first else "_bn1", "bn3": "_bn2"}
    return f"_blocks.{before[int(stage)] + int(block)}.{(parts | norms)[part]}"


class Photos:
    """Training photos as PyTorch takes them: (3, size, size) float32 and a label."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, augment):
        self.pixels, self.labels, self.augment = pixels, labels, augment

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int):
        from PIL import Image

        return self.augment(Image.fromarray(self.pixels[number])), int(self.labels[number])


def augmentation(options: argparse.Namespace):
    from timm.data import create_transform
    from torchvision import transforms

    normal = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
    if options.task == "classify":
        return create_transform(
            options.size, is_training=True, scale=(0.5, 1), auto_augment="rand-m9-mstd0.5", re_prob=0.25, **normal
        )
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(options.size, scale=(0.5, 1)),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(0.3, 0.3, 0.3, 0.05),
            transforms.ToTensor(),
            transforms.Normalize(**normal),
        ]
    )


def trained(plan, store, options: argparse.Namespace):
    """The network after so many minutes of training, and how many photos it saw."""
    import torch
    from pytorch_metric_learning.losses import ArcFaceLoss
    from pytorch_metric_learning.samplers import MPerClassSampler

    torch.manual_seed(options.seed)
    labels = plan.labels(plan.train)
    network = pretrained(EMBEDDING if options.task == "verify" else len(plan.classes)).to(
        memory_format=torch.channels_last
    )
    head = list(network.classifier.parameters())
    if options.task == "verify":
        loss_of = ArcFaceLoss(len(plan.classes), EMBEDDING)
        head += list(loss_of.parameters())
        sampler = MPerClassSampler(labels, PHOTOS_A_CLASS, options.batch, length_before_new_iter=len(labels))
    else:
        loss_of, sampler = torch.nn.CrossEntropyLoss(label_smoothing=0.1), None
    body = [weight for name, weight in network.named_parameters() if not name.startswith("classifier.")]
    groups = [{"params": head, "share": 1.0}, {"params": body, "share": options.backbone_share}]
    optimizer = torch.optim.AdamW(groups, lr=options.rate, weight_decay=0.05)
    photos = Photos(store.read(plan.train), labels, augmentation(options))
    loader = torch.utils.data.DataLoader(
        photos,
        options.batch,
        sampler=sampler,
        shuffle=sampler is None,
        drop_last=True,
        num_workers=1,
        persistent_workers=True,
    )
    seen, began = 0, time.monotonic()
    while True:
        begin_training(network)
        for pixels, label in loader:
            passed = (time.monotonic() - began) / (60 * options.minutes)
            if passed >= 1:
                return network, seen
            for group in optimizer.param_groups:
                group["lr"] = options.rate * group["share"] * one_cycle(passed)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.precision == "bfloat16"):
                outputs = network(pixels.to(memory_format=torch.channels_last))
            loss = loss_of(outputs.float(), label)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            seen += len(label)


def begin_training(network) -> None:
    """Training mode with frozen batch normalization."""
    import torch

    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval().requires_grad_(False)


def one_cycle(passed: float, warm_up: float = 0.1) -> float:
    """Share of the highest rate after this share of the time: a linear rise, then a cosine fall."""
    return passed / warm_up if passed < warm_up else 0.5 * (1 + math.cos(math.pi * (passed - warm_up) / (1 - warm_up)))


def scored(plan, network, store, options: argparse.Namespace) -> dict[str, float]:
    """Test scores of the outputs, averaged over mirror images, by kcars' post-hoc pipeline and scores."""
    from kcars.tasks import task_module

    network.eval()
    known: dict[int, np.ndarray] = {}

    def outputs(rows: np.ndarray) -> np.ndarray:
        for part in np.array_split(new := [row for row in rows.tolist() if row not in known], 1 + len(new) // 64):
            if len(part):
                known.update(zip(part.tolist(), answers(network, store.read(np.array(part))), strict=True))
        return np.stack([known[row] for row in rows.tolist()])

    task = task_module(options.task)
    pipeline = task.posthoc(plan, SimpleNamespace(scored=None), lambda model: outputs)
    result = task.scores(plan, lambda rows: pipeline(outputs(rows)), "test", pipeline.decision)
    return {name: float(value) for name, value in result.scores.items()}


def answers(network, pixels: np.ndarray) -> np.ndarray:
    """(n, d): the mean of the outputs for photos (n, size, size, 3) uint8 and for their mirror images."""
    import torch

    with torch.inference_mode():
        photos = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().sub(127).div(128)
        return (0.5 * (network(photos) + network(photos.flip(3)))).numpy()


if __name__ == "__main__":
    main()
