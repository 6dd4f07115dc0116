"""The schema of index.json, checked whenever an index is read."""

from typing import Annotated, Literal

from pydantic import Field

from kcars.schemas import Number, Part, Sha256, Share, Text

MOST_PHOTOS, MOST_DIMENSIONS = 1_000_000_000, 65_536
VECTORS, PHOTOS = r"vectors-[0-9]{1,18}\.faiss", r"photos-[0-9]{1,18}\.csv"


class Model(Part):
    place: Annotated[str, Field(min_length=1, max_length=4096)]
    fingerprint: Text
    target: Text
    padding: float = Field(ge=0, le=10)


class Decision(Part):
    threshold: Number
    scale: Annotated[Number, Field(ge=0)] | None
    offset: Number | None


class VectorFacts(Part):
    kind: Literal["exact", "ivf_flat"]
    forced: bool


class Lists(VectorFacts):
    """Facts about vectors in inverted lists."""

    lists: int = Field(ge=1)
    learned_from: int = Field(ge=1)
    probes: int = Field(ge=1)
    recall: Share = Field(alias="recall@10")
    recall_queries: int = Field(ge=0)


class OpenSet(Part):
    """The threshold chosen for the index, and how it was chosen."""

    threshold: Number
    accepted: Share
    refused: Share
    photos: int = Field(ge=0)


class Files(Part):
    vectors: Annotated[str, Field(pattern=f"^{VECTORS}$")]
    photos: Annotated[str, Field(pattern=f"^{PHOTOS}$")]


class Digests(Part):
    vectors: Sha256
    photos: Sha256


class Index(Part):
    """The whole file; sha256: of both other files, missing in indexes of earlier versions."""

    model: Model
    dimensions: int = Field(ge=1, le=MOST_DIMENSIONS)
    count: int = Field(ge=0, le=MOST_PHOTOS)
    names: int = Field(ge=0)
    decision: Decision
    vector_index: VectorFacts
    open_set: OpenSet | None
    generation: int = Field(ge=1)
    files: Files
    sha256: Digests | None = None
