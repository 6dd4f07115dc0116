"""The sections `loss` and `second_loss`, which have the settings of the loss that their name chooses."""

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import core_schema

from kcars.core.base_settings import Settings
from kcars.losses.catalogue import LOSSES


class LossByName:
    """For an annotated section: settings of one of the losses in the catalogue, by its name; of_batch: of those of all pairs of a batch."""

    def __init__(self, of_batch: bool = False):
        self._of_batch = of_batch

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """The union of the classes that the catalogue has when the schema is made."""
        return handler.generate_schema(Annotated[Union[self.classes()], Field(discriminator="name")])  # noqa: UP007  Not known before.

    def classes(self) -> tuple[type[Settings], ...]:
        """Settings of each loss that the section takes."""
        return tuple(loss.settings for loss in LOSSES.values() if loss.of_batch or not self._of_batch)


if TYPE_CHECKING:

    class AnyLoss(Settings):
        """Settings of some loss: its name, and what else it has."""

        name: str

        def __getattr__(self, name: str) -> Any: ...

    LossSettings = BatchLossSettings = AnyLoss
else:
    LossSettings = Annotated[Settings, LossByName()]
    BatchLossSettings = Annotated[Settings, LossByName(of_batch=True)]


class SecondLossSettings(Settings):
    """A loss of all pairs of a batch, added to the first."""

    weight: float = Field(default=0.5, gt=0, description="of the second loss; the first one's is 1")
    loss: BatchLossSettings
