from typing import Any

from .models import Model

class Callback:
    model: Model
    params: dict[str, Any]
    def __init__(self) -> None: ...
    def set_model(self, model: Model) -> None: ...
