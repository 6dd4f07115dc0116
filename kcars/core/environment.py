"""What the last digits of a result depend on: the machine, and the versions installed on it."""

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
    """What the last digits of a result depend on, beside the versions."""
    return {
        "system": platform.system(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "python": platform.python_version(),
    }


def processor() -> str:
    """The processor's name; its kind where the system does not tell more."""
    return _told("model name") or platform.processor() or platform.machine()


def processor_units() -> set[str]:
    """What the processor has units for, such as "avx2" and "amx_bf16", as Linux names it; empty elsewhere."""
    return set(_told("flags").split())


def _told(what: str) -> str:
    """What Linux tells of the first processor, "" where it does not."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(what):
                return line.partition(":")[2].strip()
    return ""


def versions() -> dict[str, str]:
    """Installed versions of what decides a run's numbers."""
    found = {"kcars": __version__}
    of_keras = ("torch",) if os.environ.get("KERAS_BACKEND") == "torch" else ()
    for package in _PACKAGES + of_keras:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
