"""Runs many kcars commands in one process, and notes every host that Python looks up or connects to.

    python commands_noted.py COMMANDS.json ANSWERS.json

Commands are lists of arguments, "demo" among them: that one is ended once it answers. Answers are (arguments, exit code, output). LOOKED_UP names
the file of hosts, one a line, to which the library made of looked_up.c adds what C and C++ look up.
"""

import json
import os
import signal
import sys
import threading
import time
import urllib.request
from pathlib import Path

LOCAL = ("127.", "localhost", "::1", "0.0.0.0")  # noqa: S104  (compared, not bound)
TELEMETRY_SECONDS = 15  # ONNX Runtime's came ten seconds after its first session: commands end no sooner than that.


def note(event: str, arguments: tuple) -> None:
    """An audit hook."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.gethostbyname", "socket.connect", "socket.sendto"):
        host = arguments[-1][0] if isinstance(arguments[-1], tuple) else arguments[-1]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if isinstance(host, str) and host and not host.startswith((*LOCAL, "/", "\0")):
        with open(os.environ["LOOKED_UP"], "a") as file:
            file.write(f"{host}\n")


def end_once_it_answers(port: str, seconds: int = 240) -> None:
    """Ctrl-C for this process once a page answers on the port, or after so many seconds."""
    for _ in range(seconds):
        time.sleep(1)
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"http://127.0.0.1:{port}/", timeout=30
            ).read()
            break
        except OSError:
            continue
    os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    sys.addaudithook(note)
    from click.testing import CliRunner

    from kcars.cli import main as kcars

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from support.runs import shallow_networks

    commands, answers, first_session = json.loads(Path(sys.argv[1]).read_text()), [], None
    for command in commands:
        if command[0] == "demo":
            port = command[command.index("--port") + 1]
            threading.Thread(target=end_once_it_answers, args=(port,), daemon=True).start()
        with shallow_networks():
            found = CliRunner().invoke(kcars, command)
        if first_session is None and any(str(argument).endswith(".onnx") for argument in command):
            first_session = time.monotonic()
        answers.append(
            (command, found.exit_code, found.output[-2000:] + (str(found.exception) if found.exception else ""))
        )
    time.sleep(max(0.0, TELEMETRY_SECONDS - (time.monotonic() - first_session)))
    with open(sys.argv[2], "w") as file:
        json.dump(answers, file)


if __name__ == "__main__":
    main()
