"""A client of TensorFlow Serving, which needs nothing but Python: photos in, names or a comparison out.

tensorflow_model_server --rest_api_port=8501 --model_name=kcars --model_base_path="$PWD/runs/demo-classify/export/saved_model"
python tools/serving_client.py name photo.jpg photo.jpg
python tools/serving_client.py compare left.jpg right.jpg
"""

import argparse
import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

URL = "http://localhost:8501/v1/models/kcars"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["name", "compare"])
    parser.add_argument("photos", nargs="+", type=Path, help="JPEG files; compare takes two")
    parser.add_argument("--box", action="append", help="left,top,right,bottom in pixels, one a photo, in their order")
    parser.add_argument("--url", default=URL)
    options = parser.parse_args()
    try:
        photos = [path.read_bytes() for path in options.photos]
        boxes = [[float(edge) for edge in box.split(",")] for box in options.box or []]
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    except ValueError:
        parser.error("--box: is not a box; give left,top,right,bottom in pixels")
    if options.what == "compare" and len(photos) != 2:
        parser.error(f"compare takes two photos, not {len(photos)}")
    if boxes and len(boxes) != len(photos):
        parser.error(f"{len(boxes)} boxes for {len(photos)} photos; give one a photo, or none")
    body = naming(photos, boxes) if options.what == "name" else comparing(photos[:1], photos[1:], boxes[:1], boxes[1:])
    print(json.dumps(asked(options.url, body), indent=1))


def naming(photos: list[bytes], boxes: list[list[float]] = ()) -> dict:
    """The body of a request that names photos."""
    return _body("jpeg", {"jpeg": photos}, {"boxes": boxes})


def comparing(left: list[bytes], right: list[bytes], left_boxes: list = (), right_boxes: list = ()) -> dict:
    """The body of a request that compares each photo on the left with the one on the right."""
    return _body("compare", {"left": left, "right": right}, {"left_boxes": left_boxes, "right_boxes": right_boxes})


def _body(signature: str, photos: dict[str, list[bytes]], boxes: dict[str, list]) -> dict:
    inputs = {name: [{"b64": base64.b64encode(data).decode()} for data in each] for name, each in photos.items()}
    if not all(boxes.values()):
        return {"signature_name": signature, "inputs": inputs}
    return {
        "signature_name": f"{signature}_in_box",
        "inputs": {**inputs, **{name: list(each) for name, each in boxes.items()}},
    }


def asked(url: str, body: dict) -> dict:
    """The server's outputs; ends the program with what it said where it refused."""
    request = urllib.request.Request(f"{url}:predict", json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)["outputs"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{url}: {error.code}: {error.read().decode(errors='replace')[:500]}")
    except urllib.error.URLError as error:
        sys.exit(f"{url}: cannot be reached ({error.reason}); is the server running?")


if __name__ == "__main__":
    main()
