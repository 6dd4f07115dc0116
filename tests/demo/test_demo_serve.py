"""The command before visitors come: ports, hosts, what is missing."""

import socket
import subprocess
import sys

import pytest
from support.commands import kcars

from kcars.core.errors import KcarsError
from kcars.demo.serve import FIRST_PORT, PORTS, address_of, open_port


def test_a_taken_port_is_told_and_without_one_the_next_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(KcarsError, match=f"--port {port}: cannot be opened on 127.0.0.1"):
            open_port("127.0.0.1", port)
    with open_port("127.0.0.1", None) as one, open_port("127.0.0.1", None) as two:
        ports = [opened.getsockname()[1] for opened in (one, two)]
    assert ports[0] < ports[1] and set(ports) <= set(range(FIRST_PORT, FIRST_PORT + PORTS))


def test_a_host_that_is_none_of_this_machine_is_told():
    with pytest.raises(KcarsError, match="cannot be opened on 203.0.113.1"):
        open_port("203.0.113.1", 0)


def test_the_address_is_one_that_a_browser_here_takes():
    with open_port("0.0.0.0", 0) as opened:
        assert address_of(opened, "0.0.0.0") == f"http://127.0.0.1:{opened.getsockname()[1]}"


def test_without_gradio_the_extra_is_named(tmp_path):
    program = (
        "import sys, importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name, *rest: None if name == 'gradio' else find(name, *rest);"
        "from kcars.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program, "demo", tmp_path], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "kcars: Gradio is not installed; run: pip install 'kcars[demo]'\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none"], "does not exist"),
        (["."], "neither a run folder nor an export"),
        (["--index", "none"], "index none: does not exist"),
        ([], "no run is given, and runs/ has no scored run"),
    ],
)
def test_mistakes_are_one_line(arguments, told, tmp_path, monkeypatch):
    pytest.importorskip("gradio")
    monkeypatch.chdir(tmp_path)
    assert told in kcars("demo", "--port", 0, *arguments, code=2)
