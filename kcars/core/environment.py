"""The machine and the installed versions, on which the last digits of results depend."""

import contextlib
import os
import platform
from importlib import metadata
from pathlib import Path

from kcars.version import __version__

_PACKAGES = (
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "numpy",
    "albumentations",
    "opencv-python-headless",
    "simplejpeg",
)


def machine() -> dict[str, str | int]:
    """The properties of the machine on which the last digits of results depend."""
    return {
        "system": platform.system(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "python": platform.python_version(),
    }


def processor() -> str:
    """The name of the processor, or its architecture if the system reports no name."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def processor_units() -> set[str]:
    """Instruction sets of the processor, such as "avx2" and "amx_bf16", as named by Linux; empty on other systems."""
    return set(_cpuinfo("flags").split())


def _cpuinfo(what: str) -> str:
    """A field of the first processor in Linux' /proc/cpuinfo, "" if there is none."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(what):
                return line.partition(":")[2].strip()
    return ""


def versions() -> dict[str, str]:
    """Installed versions of the packages that affect results."""
    found = {"kcars": __version__}
    of_keras = ("torch",) if os.environ.get("KERAS_BACKEND") == "torch" else ()
    for package in _PACKAGES + of_keras:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
