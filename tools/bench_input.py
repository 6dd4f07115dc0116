"""What feeds the network: the first pass over photos, and the batches of later epochs, against the usual tools.

    python tools/bench_input.py --data CompCars

First pass: photos read, decoded, cut and resized on all cores, ours (which also checks what it reads) against simplejpeg,
the fastest JPEG reader that Python has, with the same scale of decoding, cut and resize.
Epoch: an epoch's augmented batches, made and thrown away. Ours come out of the pixel store as `kcars train` gets them;
PyTorch's DataLoader has a worker process a core and makes them with the same albumentations, from the JPEG files or from
an array of decoded photos; its workers are started anew each epoch, as they are by default, or kept. It normalizes to
float32, as its recipes do; "lean" leaves that to the network, as kcars does.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import contest

STRATEGY = "Md_Res18_CE_B256"
BATCH, SIZE = 32, 192
FIRST = {"kcars": "decoded and checked", "simplejpeg": "decoded"}
EPOCH = {
    "kcars": "pixel store",
    "torch jpeg": "DataLoader, JPEG files",
    "torch jpeg kept": "the same, workers kept",
    "torch array": "DataLoader, decoded array",
    "torch array kept": "the same, workers kept",
    "torch lean": "DataLoader, decoded array, bytes out",
    "torch lean kept": "the same, workers kept",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a dataset as `kcars train` takes it; drawn cars without")
    parser.add_argument("--rounds", type=int, default=contest.ROUNDS)
    parser.add_argument("--only", choices=("first", "epoch"))
    options = parser.parse_args()
    rows = []
    for what, rivals in (("first", FIRST), ("epoch", EPOCH)):
        if options.only in (None, what):
            commands = {
                name: [sys.executable, __file__, "--rival", what, name, str(options.data or "")] for name in rivals
            }
            figures = contest.contest(commands, options.rounds)
            others = {name: seconds for name, seconds in figures.items() if name != "kcars"}
            photos = len(loaded(str(options.data or ""))[0].train)
            for name, seconds in figures.items():
                ratio = contest.told(contest.times_as_fast(figures["kcars"], others[name])) if name in others else "-"
                title = "first pass" if what == "first" else "epoch"
                rows.append([title, name, rivals[name], f"{photos / contest.median(seconds):.0f}", ratio])
                print(contest.line(rows[-1]), file=sys.stderr, flush=True)
    print(contest.markdown("Input", ["pass", "by", "from", "photos/s", "kcars is x as fast"], rows))


def loaded(folder: str):
    from kcars.data.source import load
    from kcars.settings.strategy import load_strategy

    strategy = load_strategy(STRATEGY, ["model.weights=none", f"data.size_px={SIZE}", f"train.batch={BATCH}"])
    return load(Path(folder) if folder else None, strategy.task, strategy.data), strategy


def rival(what: str, name: str, folder: str) -> None:
    dataset, strategy = loaded(folder)
    if what == "first":
        run = first_pass(name, dataset, strategy)
    else:
        run = (kcars_epoch if name == "kcars" else torch_epoch)(name, dataset, strategy)
    contest.serve(run)


def first_pass(name: str, dataset, strategy):
    import os

    table, data = dataset.table, strategy.data
    one = decoder(name, data)
    paths = [table.root / str(table.paths[row]) for row in dataset.train]

    def run() -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for photo in pool.map(one, paths, table.box[dataset.train]):
                assert photo.shape == (SIZE, SIZE, 3)

    return run


def decoder(name: str, data):
    from kcars.images import boxes, decode

    if name == "kcars":
        return lambda path, box: decode.read_photo(path, box, data.size_px, data.crop, data.padding)
    import simplejpeg

    def plain(path, box):
        content = path.read_bytes()
        height, width, *_ = simplejpeg.decode_jpeg_header(content)
        scale = boxes.decoding_scale(box, height, width, data.size_px)
        smallest = {"min_height": height // scale, "min_width": width // scale, "min_factor": scale}
        photo = simplejpeg.decode_jpeg(content, **(smallest if scale > 1 else {}))
        left, top, right, bottom = boxes.part_of(height, width, box, data.padding, photo.shape[:2], scale)
        return decode.resized(photo[top:bottom, left:right], data.size_px)

    return plain


def kcars_epoch(name: str, dataset, strategy):
    from kcars.images.pixel_store import open_store
    from kcars.input.tf_data import training_dataset
    from kcars.runs.keras_setup import start
    from kcars.tasks import task_module

    start(strategy.train)
    task = task_module(strategy.task)
    store = open_store(dataset.table, strategy.data, progress=False)
    stream = task.stream(task.plan(dataset, strategy), store)
    steps = len(dataset.train) // BATCH
    # One pipeline over all epochs, as training has it.
    batches = iter(training_dataset(stream, 0, 10_000 * steps, strategy.data.workers, strategy.data.prefetch))

    def run() -> None:
        for _ in range(steps):
            next(batches)

    return run


def torch_epoch(name: str, dataset, strategy):
    """The usual recipe: OpenCV reads, albumentations resizes, augments and normalizes, float32 tensors are collated."""
    import os

    import albumentations as A
    import cv2
    import torch
    from albumentations.pytorch import ToTensorV2

    from kcars.images.decode import cut

    torch.set_num_threads(1)
    table, data = dataset.table, strategy.data
    chain = [  # The strategy's `data.augment`.
        A.HorizontalFlip(p=0.5),
        A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=0.2),
        A.Affine(
            scale=(0.9, 1.1),
            keep_ratio=True,
            translate_percent=(-0.05, 0.05),
            rotate=(-10, 10),
            shear={"x": (-5, 5), "y": (-2, 2)},
            p=0.3,
        ),
    ]
    lean = name.startswith("torch lean")
    if not lean:
        chain += [A.Normalize(), ToTensorV2()]
    labels = table.ids["model"]

    def decoded(row):
        photo = cv2.imread(str(table.root / str(table.paths[row])))
        return cut(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB), table.box[row], data.padding)

    resize, augment = A.Resize(SIZE, SIZE, interpolation=cv2.INTER_AREA), A.Compose(chain)
    from_files = A.Compose([resize, *chain])
    array = None
    if "jpeg" not in name:
        array = np.stack([resize(image=decoded(row))["image"] for row in dataset.train])

    class Photos(torch.utils.data.Dataset):
        def __len__(self):
            return len(dataset.train)

        def __getitem__(self, place):
            row = dataset.train[place]
            photo = from_files(image=decoded(row)) if array is None else augment(image=array[place])
            return torch.from_numpy(photo["image"]) if lean else photo["image"], int(labels[row])

    loader = torch.utils.data.DataLoader(
        Photos(),
        BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=os.cpu_count(),
        persistent_workers="kept" in name,
    )

    def run() -> None:
        for _ in loader:
            pass

    return run


if __name__ == "__main__":
    contest.main_or_rival(main, rival)
