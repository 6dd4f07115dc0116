"""The client's requests against the SavedModel's own signatures, as TensorFlow Serving reads them."""

import base64
import importlib.util
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import tensorflow as tf
from support.paths import ROOT

CLIENT = ROOT / "tools/serving_client.py"
spec = importlib.util.spec_from_file_location("serving_client", CLIENT)
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)


def served(model, body: dict) -> dict:
    """What TensorFlow Serving answers to a columnar request: inputs as the signature names and types them, or a KeyError."""
    signature = model.signatures[body["signature_name"]]
    wanted = signature.structured_input_signature[1]
    assert set(body["inputs"]) == set(wanted)
    inputs = {}
    for name, tensor in wanted.items():
        values = [base64.b64decode(v["b64"]) if isinstance(v, dict) else v for v in body["inputs"][name]]
        inputs[name] = tf.constant(values, tensor.dtype)
        assert tensor.shape.is_compatible_with(inputs[name].shape)
    answers = {name: value.numpy() for name, value in signature(**inputs).items()}
    return {
        "outputs": {
            name: np.char.decode(v.astype(bytes)).tolist() if v.dtype == object else v.tolist()
            for name, v in answers.items()
        }
    }


@pytest.fixture(scope="module")
def models(exports):
    return {task: tf.saved_model.load(str(folder / "saved_model/1")) for task, folder in exports.items()}


@pytest.fixture(scope="module")
def photos(drawn):
    return sorted((drawn / "image").rglob("*.jpg"))[:2]


def test_bodies_fit_the_signatures(models, photos):
    left, right = (file.read_bytes() for file in photos)
    assert len(served(models["classify"], client.naming([left, right]))["outputs"]["names"]) == 2
    boxed = served(models["classify"], client.naming([left], [[1, 1, 50, 40]]))["outputs"]
    assert boxed["logits"] != served(models["classify"], client.naming([left]))["outputs"]["logits"]
    assert served(models["verify"], client.comparing([left], [left]))["outputs"]["same"] == [True]
    boxes = [[1, 1, 50, 40]]
    assert served(models["verify"], client.comparing([left], [right], boxes, boxes))["outputs"]["distance"][0] > 0


@pytest.mark.parametrize("task", ["classify", "verify"])
def test_the_client_prints_what_a_server_answers(models, photos, task):
    class Server(BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.path == "/v1/models/kcars:predict"
            answer = json.dumps(
                served(models[task], json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            ).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1/models/kcars"
    what = {"classify": "name", "verify": "compare"}[task]
    done = subprocess.run(
        [sys.executable, CLIENT, what, *photos, "--url", url], capture_output=True, text=True, check=True
    )
    server.shutdown()
    found = json.loads(done.stdout)
    assert {"classify": "names", "verify": "probability"}[task] in found


def test_a_server_that_is_not_there_is_told():
    done = subprocess.run(
        [sys.executable, CLIENT, "name", CLIENT, "--url", "http://127.0.0.1:9/v1/models/kcars"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
