"""Serves the page on a local port, without requests to other machines."""

import errno
import importlib.util
import logging
import os
import shutil
import socket
import threading
from collections.abc import Callable

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.core.plain_text import warn
from kcars.demo.folder import Folder, own_folder
from kcars.demo.hosts import Hosts, is_name
from kcars.demo.models import Models
from kcars.untrusted.reading import MIB

FIRST_PORT, PORTS = 7860, 100
LAST_WORDS_S, STOP_S = 2, 6  # After Ctrl-C: time for current responses; time until the process is ended.


def require_gradio() -> None:
    """Raise KcarsError if Gradio is not installed."""
    if importlib.util.find_spec("gradio") is None:
        raise KcarsError("Gradio is not installed; run: pip install 'kcars[demo]'")


def open_port(host: str, port: int | None) -> socket.socket:
    """Return a listening socket on a port, 0 for any, None for the first free one from 7860; KcarsError if there is none."""
    if not is_name(host):
        raise KcarsError(f"--host {host}: expected an address or name of this machine, such as 0.0.0.0")
    ports = range(FIRST_PORT, FIRST_PORT + PORTS) if port is None else [port]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in ports:
        try:
            return socket.create_server((host, number), family=family)
        except OSError as error:
            reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
    tried = f"--port {port}" if port is not None else f"ports {ports[0]} to {ports[-1]}"
    raise KcarsError(f"{tried}: cannot be opened on {host} ({reason}); choose another --port or --host")


def address_of(opened: socket.socket, host: str) -> str:
    """Return the page's address for a browser on this machine."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (compared, not bound)
    return f"http://{f'[{name}]' if ':' in name else name}:{opened.getsockname()[1]}"


def serve(models: Models, opened: socket.socket, ready: Callable[[], None], hosts: Hosts | None = None) -> None:
    """Serve on an open socket until a signal; `ready` is called when the page is available.

    Uploads are in a folder that is deleted at the end. hosts: allowed host names, by default those of this machine.
    """
    with own_folder() as folder:
        _keep_to_itself(folder)
        _keep_quiet()
        import uvicorn

        from kcars.demo.connections import Connection

        stops: list[threading.Timer] = []

        class Server(uvicorn.Server):
            async def startup(self, sockets=None):
                await super().startup(sockets)
                if self.started:
                    ready()

            def handle_exit(self, number, frame):
                stops.append(_stop_at_last(folder, number))
                super().handle_exit(number, frame)

        config = uvicorn.Config(
            _application(models, folder, hosts or Hosts("127.0.0.1")), http=Connection, ws="none", log_level="error", access_log=False,
            proxy_headers=False, server_header=False, timeout_keep_alive=5, timeout_graceful_shutdown=LAST_WORDS_S, h11_max_incomplete_event_size=2**14,
        )  # fmt: skip
        try:
            Server(config).run([opened])
        finally:
            if not _still_answering():
                for stop in stops:
                    stop.cancel()


def _stop_at_last(folder: Folder, number: int) -> threading.Timer:
    """Start a timer that ends the process soon after a signal, even if a request never ends, because threads cannot be stopped."""

    def stop() -> None:
        shutil.rmtree(folder.root, ignore_errors=True)
        warn("kcars: stopped during a request")
        os._exit(128 + number)

    timer = threading.Timer(STOP_S, stop)
    timer.daemon = True
    timer.start()
    return timer


def _still_answering() -> bool:
    """Return whether a request occupies a thread that the process would wait for."""
    workers = [one for one in threading.enumerate() if one.name.startswith("AnyIO worker")]
    for worker in workers:
        worker.join(0.5)
    return any(worker.is_alive() for worker in workers)


def _application(models: Models, folder: Folder, hosts: Hosts) -> Callable:
    """Return the Gradio page behind its guard, an ASGI application."""
    import gradio as gr
    from fastapi import FastAPI

    from kcars.demo import page
    from kcars.demo.examples import draw_examples
    from kcars.demo.guard import Guard
    from kcars.demo.questions import Questions

    learned = [model.card["input"] for model in models.all()]
    margin = max((one["padding"] for one in learned if one["learned_in_boxes"]), default=None)
    blocks = page.build(models, draw_examples(folder.examples, margin), folder)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        app, blocks, "/", css=page.CSS, theme=_theme(), max_file_size=limits().upload_mib * MIB, footer_links=[], run_history=False,
        show_error=False, ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False,
    )  # fmt: skip
    return Guard(app, hosts, folder, Questions(blocks, folder))


def _keep_to_itself(folder: Folder) -> None:
    """Set Gradio's file locations and disable its network access, which it reads at import."""
    os.environ |= {
        "GRADIO_ANALYTICS_ENABLED": "0",
        "GRADIO_TEMP_DIR": str(folder.root),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
    }


def _keep_quiet() -> None:
    """Python prints warnings that a library logs, which it does of each odd form and each lost connection: visitors could fill the terminal."""
    if logging.lastResort:
        logging.lastResort.setLevel(logging.ERROR)


def _theme():
    """Return Gradio's default theme with system fonts, so that none is downloaded."""
    import gradio as gr

    plain, mono = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
    return gr.themes.Default(primary_hue="blue", font=plain, font_mono=mono)  # pyright: ignore[reportPrivateImportUsage]  As documented.
