"""The page on a port of this machine, which asks nothing of any other."""

import contextlib
import errno
import importlib.util
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from kcars.demo.models import Models
from kcars.errors import KcarsError

FIRST_PORT, PORTS = 7860, 100
LOCAL = ("127.0.0.1", "localhost", "::1")
# Whatever a part of the page might wish to load: the browser asks nothing but this server.
POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"


def require_gradio() -> None:
    """KcarsError where Gradio is not installed."""
    if importlib.util.find_spec("gradio") is None:
        raise KcarsError("Gradio is not installed; run: pip install 'kcars[demo]'")


def open_port(host: str, port: int | None) -> socket.socket:
    """A listening socket on a port, 0 for any, or on the first free one from 7860; KcarsError where there is none."""
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
    """What to type into a browser of this machine."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (compared, not bound)
    return f"http://{f'[{name}]' if ':' in name else name}:{opened.getsockname()[1]}"


def serve(models: Models, opened: socket.socket, tell: Callable[[], None]) -> None:
    """Answer on an open socket until the process is told to end; `tell` is called once visitors may come.

    Photos that visitors send lie in a folder that is deleted then.
    """
    with _own_folder() as folder:
        import gradio as gr
        import uvicorn
        from fastapi import FastAPI

        from kcars.demo import page
        from kcars.demo.examples import draw_examples

        learned = [model.card["input"] for model in models.all()]
        margin = max((one["padding"] for one in learned if one["learned_in_boxes"]), default=None)
        blocks = page.build(models, draw_examples(folder, margin))
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.middleware("http")(_with_policy)
        gr.mount_gradio_app(
            app, blocks, "/", css=page.CSS, theme=_theme(), max_file_size=page.MOST_BYTES, allowed_paths=[str(folder)],
            footer_links=[], run_history=False, show_error=False, ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False,
        )  # fmt: skip

        class Server(uvicorn.Server):
            async def startup(self, sockets=None):
                await super().startup(sockets)
                if self.started:
                    tell()

        Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)).run([opened])


@contextlib.contextmanager
def _own_folder() -> Iterator[Path]:
    """A folder for uploads that is deleted at the end; Gradio reads where it is, and whom it may ask, when it is imported."""
    with tempfile.TemporaryDirectory(prefix="kcars-demo-") as folder:
        os.environ |= {
            "GRADIO_ANALYTICS_ENABLED": "0",
            "GRADIO_TEMP_DIR": folder,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "1",
        }
        examples = Path(folder) / "drawn"
        examples.mkdir()
        yield examples


async def _with_policy(request, call_next):
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _theme():
    """Gradio's own look with the machine's fonts: none is loaded."""
    import gradio as gr

    plain, mono = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
    return gr.themes.Default(primary_hue="blue", font=plain, font_mono=mono)
