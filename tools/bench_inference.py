"""Photos a second through ResNet18: kcars, PyTorch, ONNX Runtime and OpenVINO in turn, on the same batch of noise.

    python tools/bench_inference.py

All take a batch in memory and give 68 logits. ONNX Runtime and OpenVINO get torchvision's network, whose layout is ours.
"""

import argparse
import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import contest
from bench_step import CLASSES, noise

RIVALS = (
    "kcars float32", "kcars bfloat16", "torch float32", "torch bfloat16", "onnxruntime float32", "openvino float32",
    "openvino bfloat16",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=contest.ROUNDS)
    parser.add_argument("--rivals", default=",".join(RIVALS))
    parser.add_argument("--batches", type=int, default=10, help="in each round")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=192)
    options = parser.parse_args()
    work = [str(options.size), str(options.batch), str(options.batches)]
    commands = {name: [sys.executable, __file__, "--rival", name, *work] for name in options.rivals.split(",")}
    figures = contest.contest(commands, options.rounds)
    photos, first = options.batch * options.batches, next(iter(figures))
    rows = [
        [name, f"{photos / contest.median(seconds):.0f}", contest.told(contest.times_as_fast(seconds, figures[first]))]
        for name, seconds in figures.items()
    ]
    print(contest.markdown("Inference", ["by", "photos/s", f"x {first}"], rows))


def rival(name: str, size: str, batch: str, batches: str) -> None:
    library, precision = name.split()
    photos, _ = noise(int(size), int(batch))
    make = {"kcars": by_kcars, "torch": by_torch, "onnxruntime": by_onnxruntime, "openvino": by_openvino}[library]
    predict = make(photos, precision)
    assert predict().shape == (len(photos), CLASSES)

    def work() -> None:
        for _ in range(int(batches)):
            predict()

    contest.serve(work)


def by_kcars(photos, precision: str):
    from kcars.runs.keras_setup import start
    from kcars.settings.strategy import load_strategy

    start(load_strategy("scratch/classify").train, "float32" if precision == "float32" else "mixed_bfloat16")
    from kcars.backbones.build import build_backbone
    from kcars.models.networks import classifier

    model = classifier(build_backbone("resnet18", photos.shape[1]), {"target": CLASSES})
    return lambda: model.predict_on_batch(photos)["target"]


def torch_network():
    import torch
    import torchvision

    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=CLASSES).eval()


def by_torch(photos, precision: str):
    import torch

    model = torch_network().to(memory_format=torch.channels_last)

    def predict():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            x = torch.from_numpy(photos).permute(0, 3, 1, 2).float().div(127.5).sub(1)
            return model(x).float().numpy()

    return predict


def onnx_network(photos) -> bytes:
    import torch

    example = torch.zeros(len(photos), 3, photos.shape[1], photos.shape[2])
    content = io.BytesIO()
    torch.onnx.export(torch_network(), (example,), content, input_names=["x"], dynamo=False)
    return content.getvalue()


def scaled(photos):
    import numpy as np

    return np.ascontiguousarray(photos.transpose(0, 3, 1, 2), np.float32) / np.float32(127.5) - 1


def by_onnxruntime(photos, precision: str):
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx_network(photos), providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": scaled(photos)})[0]


def by_openvino(photos, precision: str):
    import openvino

    core = openvino.Core()
    hint = {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32", "PERFORMANCE_HINT": "LATENCY"}
    model = core.compile_model(core.read_model(onnx_network(photos)), "CPU", hint)
    return lambda: model(scaled(photos))[0]


if __name__ == "__main__":
    contest.main_or_rival(main, rival)
