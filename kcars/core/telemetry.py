"""Switches off what libraries send, or look up, by themselves. Imported with the package, before any of them."""

import os

SWITCHES = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime looks up its vendor's host.
    "GRADIO_ANALYTICS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",  # Albumentations asks the package index at import.
}


def off() -> None:
    """For this process and those that it starts."""
    os.environ.update(SWITCHES)


off()
