"""A headless Chromium, driven through its debugging pipe: nothing but the browser itself is needed."""

import base64
import json
import os
import subprocess
import time
from pathlib import Path

from support.browser import binary


class Browser:
    """One page of a browser whose profile lies in an empty folder."""

    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-unsafe-swiftshader",  # WebGL without a GPU.
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1500,1000",
        "--remote-debugging-pipe",
    )

    def __init__(self, profile: Path):
        (commands, self._commands), (self._answers, answers) = os.pipe(), os.pipe()

        def third_and_fourth():
            kept = os.dup(commands), os.dup(answers)  # Whatever their numbers are, 3 and 4 may be among them.
            for number, handle in zip((3, 4), kept, strict=True):
                os.dup2(handle, number)

        self._process = subprocess.Popen(
            [binary(), *self.options, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=third_and_fourth,
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._number, self._rest, self._session = 0, b"", None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(20)
        os.close(self._commands)
        os.close(self._answers)

    def call(self, method: str, **parameters) -> dict:
        """The result of a command of the DevTools protocol; RuntimeError where the browser refuses it."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                part = os.read(self._answers, 1 << 20)
                if not part:
                    raise RuntimeError("the browser has ended")
                self._rest += part
            answer, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(answer)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def ask(self, script: str):
        """The value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return result["result"].get("value")

    def wait_for(self, script: str, seconds: float = 60):
        """The value of an expression once it is true; TimeoutError where it does not become so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := self.ask(script):
                return value
            time.sleep(0.3)
        raise TimeoutError(f"not true within {seconds} s: {script}")

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
