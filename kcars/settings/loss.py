"""The sections `loss` and `second_loss`: the name chooses the loss, which defines the other settings."""

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import core_schema

from kcars.core.base_settings import Settings
from kcars.losses.catalogue import LOSSES


class LossByName:
    """Annotation of a section with the settings of one loss, chosen by name; of_batch: only losses over all pairs of a batch."""

    def __init__(self, of_batch: bool = False):
        self._of_batch = of_batch

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """The union of the settings classes in the catalogue when the schema is built."""
        return handler.generate_schema(Annotated[Union[self.classes()], Field(discriminator="name")])  # noqa: UP007  Known only at run time.

    def classes(self) -> tuple[type[Settings], ...]:
        """Settings classes of the losses that the section accepts."""
        return tuple(loss.settings for loss in LOSSES.values() if loss.of_batch or not self._of_batch)


if TYPE_CHECKING:

    class AnyLoss(Settings):
        """Settings of any loss: its name and its own settings."""

        name: str

        def __getattr__(self, name: str) -> Any: ...

    LossSettings = BatchLossSettings = AnyLoss
else:
    LossSettings = Annotated[Settings, LossByName()]
    BatchLossSettings = Annotated[Settings, LossByName(of_batch=True)]


class SecondLossSettings(Settings):
    """A loss over all pairs of a batch, added to the first loss."""

    weight: float = Field(default=0.5, gt=0, description="weight of the second loss; the first has weight 1")
    loss: BatchLossSettings
