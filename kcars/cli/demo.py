"""`kcars demo`: a web page to try runs. Heavy modules are imported inside the command."""

from pathlib import Path

import click

from kcars.cli.photos import newest
from kcars.cli.types import PATH
from kcars.core.errors import KcarsError
from kcars.core.plain_text import echo, warn


@click.command()
@click.argument("places", type=PATH, nargs=-1, metavar="[RUN|EXPORT]...")
@click.option("--index", type=PATH, help="Index to search; loads the model that built it.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 allows other machines."
)
@click.option(
    "--allow-host",
    "allowed",
    metavar="NAME",
    multiple=True,
    help="Additional host name to accept, such as a proxy's; may be repeated.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="0 takes any free port.  [default: the first free one from 7860]"
)
def demo(places, index, host, allowed, port):
    """Serve a web page where RUN names cars, compares photos or searches an index.

    Give at most one classifier and one verifier; without any, the newest of each in runs/ is used. Photos can be
    dropped, pasted or taken with the camera. Nothing is sent to or loaded from another machine.

    \b
    Examples:
      kcars demo runs/demo-classify
      kcars demo runs/demo-classify runs/demo-verify --index cars.index
    """
    from kcars.demo.hosts import Hosts, is_loopback
    from kcars.demo.serve import address_of, open_port, require_gradio, serve

    require_gradio()
    from kcars.demo.models import load_all

    hosts = Hosts(host, allowed)
    if not places and index is None:
        places = _newest_of_each()
    with open_port(host, port) as opened:
        models = load_all(places, index)
        if not is_loopback(host):
            warn(
                "anyone who can reach this machine can use the page; browsers allow the camera on other machines' pages over https only"
            )
        serve(models, opened, lambda: echo(f"kcars demo: {address_of(opened, host)}  (Ctrl-C stops it)"), hosts)


def _newest_of_each() -> list[Path]:
    found = []
    for task in ("classify", "verify"):
        try:
            found.append(newest(task))
        except KcarsError:
            continue
    if not found:
        raise KcarsError("demo: no run is given, and runs/ has no scored run; name a run or an export")
    return found
