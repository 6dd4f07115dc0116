"""Stand-alone program that loads an exported model with one runtime, without kcars, and computes its outputs.

    python reload.py saved_model|onnx|litert MODEL QUESTIONS.npz ANSWERS.npz

Questions are `pixels` (n, s, s, 3) uint8 and, as one array of bytes with the length of each file, `jpeg` and `lengths`, with
`boxes` (n, 4); `refused`, `refused_lengths` and `refused_boxes` are photos that a SavedModel must refuse. Answers are each
signature's outputs, by `signature/output`, and `refused/answered` (n,), whether these were accepted.
"""

import os
import sys

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
BATCH = 32


def saved_model(path: str, questions: dict) -> dict:
    """Return the outputs of a SavedModel."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    signatures = loaded.signatures
    answers = by_batch("pixels", questions["pixels"], lambda part: signatures["pixels"](tf.constant(part)))
    photos, boxes = photos_of(questions, "jpeg", "lengths"), questions["boxes"].astype(np.float32)
    name = "jpeg_in_box" if "jpeg_in_box" in signatures else "embed_in_box"
    if "refused" in questions:
        refused = photos_of(questions, "refused", "refused_lengths")
        answered = [
            answers_one(signatures[name], photo, box)
            for photo, box in zip(refused, questions["refused_boxes"], strict=True)
        ]
        answers["refused/answered"] = np.array(answered, bool)
    if photos:
        numbers = np.arange(len(photos))

        def ask(part):
            return signatures[name](
                jpeg=tf.constant([photos[number] for number in part]), boxes=tf.constant(boxes[part])
            )

        answers |= by_batch("jpeg", numbers, ask)
        refuse_other_answers(signatures, name, photos[:BATCH])
    if "compare_in_box" in signatures and len(photos) > 1:
        left, right = photos[:-1], photos[1:]

        def compare(part):
            sides = {"left": tf.constant([left[n] for n in part]), "right": tf.constant([right[n] for n in part])}
            return signatures["compare_in_box"](
                **sides, left_boxes=tf.constant(boxes[:-1][part]), right_boxes=tf.constant(boxes[1:][part])
            )

        answers |= by_batch("compare", np.arange(len(left)), compare)
    return answers


def photos_of(questions: dict, name: str, lengths: str) -> list[bytes]:
    """Split an array of bytes into files by their lengths."""
    whole, ends = questions[name].tobytes(), np.cumsum(questions[lengths])
    return [whole[end - length : end] for end, length in zip(ends, questions[lengths], strict=True)]


def answers_one(signature, photo: bytes, box: np.ndarray) -> bool:
    """Return whether a photo is accepted."""
    import tensorflow as tf

    try:
        signature(jpeg=tf.constant([photo]), boxes=tf.constant(box[None], tf.float32))
    except tf.errors.InvalidArgumentError:
        return False
    return True


def refuse_other_answers(signatures, boxed: str, photos: list[bytes]) -> None:
    """Exit if a signature without boxes differs from the one with boxes on whole photos."""
    import tensorflow as tf

    jpeg, nothing = tf.constant(photos), tf.fill([len(photos), 4], -1.0)
    wanted = signatures[boxed](jpeg=jpeg, boxes=nothing)
    pairs = {(name, "jpeg"): wanted for name in ("serving_default", "jpeg", "embed") if name in signatures}
    if "compare" in signatures:
        both = {"left": jpeg, "right": tf.reverse(jpeg, [0])}
        pairs["compare", "left"] = signatures["compare_in_box"](**both, left_boxes=nothing, right_boxes=nothing)
    for (name, kind), expected in pairs.items():
        found = signatures[name](**({"jpeg": jpeg} if kind == "jpeg" else both))
        for key, value in expected.items():
            ours, theirs = np.asarray(found[key]), np.asarray(value)
            if not (np.allclose(ours, theirs, atol=1e-5) if ours.dtype == np.float32 else (ours == theirs).all()):
                raise SystemExit(f"signature {name}: {key} differs from that of {boxed} on whole photos")


def onnx(path: str, questions: dict) -> dict:
    """Return the outputs of an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return by_batch(
        "pixels", questions["pixels"], lambda part: dict(zip(names, session.run(names, {"pixels": part}), strict=True))
    )


def litert(path: str, questions: dict) -> dict:
    """Return the outputs of a LiteRT file."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(path).get_signature_runner("pixels")
    return by_batch("pixels", questions["pixels"], lambda part: runner(pixels=part))


def by_batch(name: str, given: np.ndarray, ask) -> dict:
    """Return the joined outputs of ask(part) over batches of BATCH."""
    parts = [ask(given[start : start + BATCH]) for start in range(0, len(given), BATCH)]
    return {f"{name}/{key}": np.concatenate([np.asarray(part[key]) for part in parts]) for key in parts[0]}


def main() -> None:
    kind, path, questions, out = sys.argv[1:]
    with np.load(questions) as file:
        asked = dict(file)
    answers = {"saved_model": saved_model, "onnx": onnx, "litert": litert}[kind](path, asked)
    if "kcars" in sys.modules:
        raise SystemExit("kcars was loaded, so the check is invalid")
    np.savez(out, **{key: value.astype(bytes) if value.dtype == object else value for key, value in answers.items()})


if __name__ == "__main__":
    main()
