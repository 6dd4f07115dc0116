"""Limits on the size and cost of files and requests, with defaults that KCARS_LIMITS changes."""

import os
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from kcars.core.errors import KcarsError

VARIABLE = "KCARS_LIMITS"


class Limits(BaseModel):
    """Each field is a limit; names of sizes end in the unit.

    `KCARS_LIMITS="photo_mib=128 jpeg_scans=500"` changes limits for a process and its child processes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    photo_mib: PositiveInt = Field(64, description="size of a photo file")
    photo_megapixels: PositiveInt = Field(100, description="pixels of a photo or video frame, in millions")
    video_damaged_frames: PositiveInt = Field(
        1_000, description="consecutive frames of a video that cannot be decoded; then the video ends"
    )
    photo_segments: PositiveInt = Field(100_000, description="segments of a JPEG file or chunks of a PNG or WebP file")
    jpeg_scans: PositiveInt = Field(100, description="scans of a JPEG file; encoders write up to 18")
    jpeg_scan_megapixels: PositiveInt = Field(1_000, description="scans times pixels of a JPEG file, in millions")
    decoding_mib: PositiveInt = Field(2_048, description="memory of the photos decoded at the same time")
    json_mib: PositiveInt = Field(64, description="size of a JSON file")
    json_values: PositiveInt = Field(
        1_000_000, description="values in a JSON file; each takes more memory than bytes in the file"
    )
    json_depth: PositiveInt = Field(64, description="nesting depth of a JSON file")
    yaml_kib: PositiveInt = Field(1_024, description="size of a YAML file")
    yaml_depth: PositiveInt = Field(32, description="nesting depth of a YAML file")
    yaml_nodes: PositiveInt = Field(10_000, description="values in a YAML file, with aliases expanded")
    list_mib: PositiveInt = Field(1_024, description="size of a list of photos, pairs or boxes")
    matlab_mib: PositiveInt = Field(64, description="size of a MATLAB file")
    matlab_unpacked_mib: PositiveInt = Field(512, description="memory for reading a MATLAB file")
    arrays_mib: PositiveInt = Field(8_192, description="unpacked size of an .npz file")
    upload_mib: PositiveInt = Field(20, description="size of a photo sent to the demo page; phones write 2 to 12")
    upload_megapixels: PositiveInt = Field(50, description="pixels of a photo sent to the demo page, in millions")
    upload_seconds: PositiveInt = Field(300, description="time to receive a photo at the demo page")
    upload_minutes: PositiveInt = Field(60, description="time after which a photo sent to the demo page is deleted")
    uploads: PositiveInt = Field(1_000, description="photos that the demo page stores; the oldest are deleted first")
    uploads_total_mib: PositiveInt = Field(512, description="total size of the photos that the demo page stores")
    page_request_kib: PositiveInt = Field(64, description="size of a request to the demo page, without its photos")
    page_head_seconds: PositiveInt = Field(10, description="time to receive a request's headers")
    page_stall_seconds: PositiveInt = Field(20, description="time without data sent or received in a request")
    page_connections: PositiveInt = Field(256, description="open connections of the demo page")
    page_connections_per_visitor: PositiveInt = Field(24, description="open connections per address")
    page_questions: PositiveInt = Field(64, description="requests waiting at the demo page")
    page_questions_per_visitor: PositiveInt = Field(8, description="waiting requests per address")
    page_wait_seconds: PositiveInt = Field(120, description="time that a request waits for the models")
    model_mib: PositiveInt = Field(
        2_047, description="size of a model file: ONNX, weights or variables of a SavedModel"
    )
    # Exports have 1 to 4 MiB; reading takes up to 75 times as much memory.
    graph_mib: PositiveInt = Field(32, description="size of a SavedModel's graph, without its variables")
    index_mib: PositiveInt = Field(65_536, description="size of an index's vectors")
    features_mib: PositiveInt = Field(65_536, description="size of a file of features in the cache folder")
    detector_megapixels: PositiveInt = Field(16, description="input pixels of a detector, in millions")
    detector_boxes: PositiveInt = Field(1_000, description="vehicles found by a detector in a photo")
    head_mib: PositiveInt = Field(1_024, description="size of a run's metric.npz or head.npz")
    table_mib: PositiveInt = Field(512, description="size of a CSV file in a run folder")
    table_cells: PositiveInt = Field(20_000_000, description="cells of a CSV file in a run folder")
    event_mib: PositiveInt = Field(64, description="size of an image in the TensorBoard file of a run")
    thumbnail_kib: PositiveInt = Field(256, description="size of a thumbnail in a run folder")

    @classmethod
    def parse(cls, text: str) -> "Limits":
        """The defaults, changed by `name=number` words; raises KcarsError for an unknown name or a value that is not a positive integer."""
        changed: dict[str, Any] = {}
        for word in text.replace(",", " ").split():
            name, equals, value = word.partition("=")
            if not equals or name not in cls.model_fields:
                known = ", ".join(cls.model_fields)
                raise KcarsError(f"{VARIABLE}: {word!r} is not known; expected name=number, with a name of {known}")
            if name in changed:
                raise KcarsError(f"{VARIABLE}: {name} is given twice, as {changed[name]} and {value}")
            changed[name] = value
        try:
            return cls(**changed)
        except ValidationError as error:
            first = error.errors()[0]
            raise KcarsError(f"{VARIABLE}: {first['loc'][0]}={first['input']}: expected a positive integer") from None


def limits() -> Limits:
    """The limits of this process; raises KcarsError if KCARS_LIMITS is not valid."""
    return _parsed(os.environ.get(VARIABLE, ""))


_parsed = lru_cache(maxsize=8)(Limits.parse)
