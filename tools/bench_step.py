"""A training step of each backbone: kcars, stock Keras and PyTorch in turn, on the same batch of noise.

    python tools/bench_step.py                                  # every backbone
    python tools/bench_step.py --backbones resnet18 --rounds 9

A step is forward, backward and AdamW on a batch in memory, 68 classes, cross entropy. kcars runs its classifier with
`train.precision: auto`, as `kcars train` does; stock Keras is the same layout of Keras' own layers, float32; PyTorch is
torchvision's network, or timm's, in channels_last, float32 or bfloat16 by autocast. EfficientNet-Lite0 is fine-tuned: its batch
normalizations are frozen. Figures are medians of rounds in turn.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import contest

CLASSES = 68
# Side of the photos, and steps that a round takes.
SIZES = {"resnet18": 192, "efficientnet_b0": 192, "resnet50": 192, "inception_v3": 299, "efficientnet_lite0": 192}
STEPS = {"resnet18": 6, "efficientnet_b0": 3, "resnet50": 2, "inception_v3": 2, "efficientnet_lite0": 4}
FROZEN = {
    "efficientnet_lite0"
}  # Fine-tuned as by start/classify: batch normalization keeps its statistics, by all rivals.
RIVALS = ("kcars auto", "kcars float32", "keras float32", "torch float32", "torch bfloat16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", default=",".join(SIZES), help="which, with commas between")
    parser.add_argument("--rivals", default=",".join(RIVALS))
    parser.add_argument("--rounds", type=int, default=contest.ROUNDS)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    rows = []
    for name in options.backbones.split(","):
        rivals = [one for one in options.rivals.split(",") if name not in FROZEN or not one.startswith("keras")]
        work = [name, str(SIZES[name]), str(options.batch), str(STEPS[name])]
        figures = contest.contest({r: [sys.executable, __file__, "--rival", r, *work] for r in rivals}, options.rounds)
        for rival in rivals:
            best = contest.median(figures[rival]) / STEPS[name]
            ratios = [
                contest.told(contest.times_as_fast(figures[rival], figures[other])) if other in figures else "-"
                for other in ("keras float32", "torch float32", "torch bfloat16")
            ]
            rows.append([name, SIZES[name], rival, f"{options.batch / best:.0f}", *ratios])
            print(contest.line(rows[-1]), file=sys.stderr, flush=True)
    head = ["backbone", "px", "by", "photos/s", "x stock Keras float32", "x PyTorch float32", "x PyTorch bfloat16"]
    print(contest.markdown(f"Training step of {options.backbones}", head, rows))


def rival(name: str, backbone: str, size: str, batch: str, steps: str) -> None:
    library, _, precision = name.partition(" ")
    make = {"kcars": kcars_steps, "keras": keras_steps, "torch": torch_steps}[library]
    contest.serve(make(backbone, int(size), int(batch), int(steps), precision))


def noise(size: int, batch: int):
    import numpy as np

    random = np.random.default_rng(0)
    return random.integers(0, 256, (batch, size, size, 3), np.uint8), random.integers(0, CLASSES, batch)


def kcars_steps(backbone: str, size: int, batch: int, steps: int, precision: str):
    from kcars.runs.keras_setup import settled, start
    from kcars.settings.strategy import load_strategy

    changes = [f"model.backbone={backbone}", "model.width=1", "model.stem=standard", f"data.size_px={size}"]
    strategy = settled(load_strategy("scratch/classify", [*changes, f"train.precision={precision}"]))
    start(strategy.train)
    import keras

    from kcars.backbones.build import build_backbone
    from kcars.models.networks import classifier, uncompiled_stays
    from kcars.models.stages import stages
    from kcars.objectives.optimizer import adamw

    built = build_backbone(backbone, size)
    if backbone in FROZEN:
        for stage in stages(built):
            for layer in stage:
                layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    model = uncompiled_stays(classifier(built, {"target": CLASSES}))
    return fitting(model, adamw(strategy.train, 1e-4), size, batch, steps)


def keras_steps(backbone: str, size: int, batch: int, steps: int, precision: str):
    """Keras as it comes: its own batch normalization, its applications unchanged."""
    from kcars.runs.keras_setup import start
    from kcars.settings.strategy import load_strategy

    start(load_strategy("scratch/classify").train, precision)
    import keras
    from keras import layers

    pixels = keras.Input((size, size, 3))
    if backbone == "resnet18":
        from kcars.backbones.blocks import residual

        residual.BatchNormalization = layers.BatchNormalization
        scaled = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
        features = residual.pooled(residual.residual_grid(scaled, (64, 128, 256, 512), (2, 2, 2, 2)))
    else:
        from kcars.backbones.catalogue import BACKBONES

        build = getattr(keras.applications, BACKBONES[backbone].imagenet.application)
        network = build(weights=None, include_top=False, input_shape=(size, size, 3), pooling="avg")
        scaled = pixels if backbone == "efficientnet_b0" else layers.Rescaling(1 / 127.5, offset=-1)(pixels)
        features = network(scaled)
    model = keras.Model(pixels, {"target": layers.Dense(CLASSES, name="target")(features)})
    return fitting(model, keras.optimizers.AdamW(1e-4, weight_decay=0.05), size, batch, steps)


def fitting(model, optimizer, size: int, batch: int, steps: int):
    import keras
    import tensorflow as tf

    photos, labels = noise(size, batch)
    model.compile(optimizer=optimizer, loss={"target": keras.losses.SparseCategoricalCrossentropy(from_logits=True)})
    batches = tf.data.Dataset.from_tensors((tf.constant(photos), {"target": tf.constant(labels)})).repeat()
    model.make_train_function()  # What `fit` calls for every step.
    endless = iter(batches)

    def run() -> None:
        for _ in range(steps):
            logs = model.train_function(endless)
        float(logs["loss"])

    run()  # Traces the graph.
    return run


def torch_steps(backbone: str, size: int, batch: int, steps: int, precision: str):
    import torch

    torch.manual_seed(0)
    model = torch_network(backbone).to(memory_format=torch.channels_last).train()
    if backbone in FROZEN:
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05)
    photos, labels = (torch.from_numpy(value) for value in noise(size, batch))

    def run() -> None:
        for _ in range(steps):
            x = photos.permute(0, 3, 1, 2).float().div(127.5).sub(1)  # Of channels_last already.
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
                loss = torch.nn.functional.cross_entropy(model(x), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    run()
    return run


def torch_network(backbone: str):
    if backbone in FROZEN:
        import timm

        return timm.create_model(f"tf_{backbone}", pretrained=False, num_classes=CLASSES)
    import torchvision

    extra = {"aux_logits": False, "init_weights": True} if backbone == "inception_v3" else {}
    return torchvision.models.get_model(backbone, weights=None, num_classes=CLASSES, **extra)


if __name__ == "__main__":
    contest.main_or_rival(main, rival)
