"""Switches off telemetry and update checks of libraries. Imported with the package, before any library."""

import os

SWITCHES = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime contacts its vendor's host.
    "GRADIO_ANALYTICS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",  # Albumentations contacts the package index at import.
}


def off() -> None:
    """Switch telemetry off for this process and its child processes."""
    os.environ.update(SWITCHES)


off()
