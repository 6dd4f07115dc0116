"""Strict settings: one YAML file a strategy, checked key by key, with overrides and the paper's name law."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kcars.errors import KcarsError, one_of

TASKS = ("classify", "verify")
DIFFICULTIES = ("easy", "medium", "hard")


class Settings(BaseModel):
    """Frozen and strict: an unknown key or a value of another type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataSettings(Settings):
    size_px: int = Field(ge=32, le=1024, description="side of the square photo that the network sees")
    crop: Literal["box", "whole"] = Field("box", description="cut to the labelled box, or keep the whole photo")
    padding: float = Field(0.10, ge=0, le=1, description="added around the box, as a share of its sides")
    augment: str = Field("", description="text chain, e.g. flip(0.5) | brightness_contrast(0.2)")
    order: Literal["plain", "pairs", "pk"] = Field(
        "plain", description="plain: each photo once an epoch; pairs: random pairs; pk: P classes x K photos"
    )
    photos_per_class: int = Field(4, ge=2, description="K of order pk; P is train.batch / K")
    cache: Literal["disk", "memory", "off"] = Field("disk", description="where decoded photos are kept")
    split: Literal["listed", "all"] = Field(
        "listed",
        description="listed: the dataset's own lists, where it has some; all: every photo, split by split_seed",
    )
    test_list: str = Field(
        "test", pattern="^[a-z_]+$", description="classification list of a CompCars tree that is tested on"
    )
    test_share: float = Field(0.3, gt=0, le=0.5, description="photos (verify: models) that an automatic split tests on")
    split_seed: int = Field(0, ge=0, lt=2**32, description="of an automatic split; train.seed changes no test")
    on_bad_photo: Literal["stop", "skip"] = Field(
        "stop", description="photos that cannot be decoded end a run with their names, or are left out and recorded"
    )
    workers: int = Field(0, ge=0, description="threads that read and augment; 0: one a core")
    prefetch: int = Field(4, ge=1, description="batches made ahead of the network")


class ModelSettings(Settings):
    backbone: Literal["resnet18", "simple_resnet", "simple_resnet_large"]
    width: float = Field(1.0, gt=0, le=4, description="multiplies the widths of every stage")
    stem: Literal["standard", "compact"] = Field(
        "standard", description="standard: 7x7/2 and 3x3/2 maximum; compact: 5x5/2 and 2x2/2 maximum, for small photos"
    )
    normalization: Literal["compcars", "imagenet", "half"] = Field(
        "compcars", description="mean and deviation taken from the pixels inside the model"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="before the classifier head")
    embedding: int = Field(512, ge=2, description="dimensions of the unit vector (verification)")


class CrossEntropySettings(Settings):
    name: Literal["cross_entropy"]
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class FocalSettings(Settings):
    name: Literal["focal", "sigmoid_focal"]
    gamma: float = Field(2.0, ge=0, description="focusing exponent")
    alpha: float = Field(1.0, gt=0, description="weight of the loss")


class ContrastiveSettings(Settings):
    name: Literal["contrastive"]
    margin: float = Field(1.0, gt=0, le=2, description="distance beyond which other classes cost nothing")


class ArcFaceSettings(Settings):
    name: Literal["arcface"]
    margin: float = Field(0.2, ge=0, lt=1.57, description="angle in radians added to the label's")
    scale: float = Field(16.0, gt=0, description="multiplies the cosines")
    label_smoothing: float = Field(0.0, ge=0, lt=1)


LossSettings = Annotated[
    CrossEntropySettings | FocalSettings | ContrastiveSettings | ArcFaceSettings, Field(discriminator="name")
]


class PlateauSettings(Settings):
    monitor: str = Field("val_loss", description="history column that must fall")
    factor: float = Field(0.5, gt=0, lt=1)
    patience: int = Field(3, ge=0)
    floor: float = Field(1e-6, ge=0)


class TrainSettings(Settings):
    epochs: int = Field(ge=1)
    batch: int = Field(ge=2, description="photos a step (pairs a step with order pairs)")
    learning_rate: float = Field(gt=0, description="base rate of AdamW; one_cycle rises to ten times it")
    weight_decay: float = Field(2e-5, ge=0)
    schedule: Literal["one_cycle", "warmup_cosine", "constant"] = "one_cycle"
    plateau: PlateauSettings | None = Field(None, description="needs schedule: constant")
    early_stopping: int | None = Field(None, ge=1, description="epochs without a better score before the end")
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    seed: int = Field(0, ge=0, lt=2**32)
    max_minutes: float | None = Field(None, gt=0, description="the schedule is fitted to this much training")


class EvaluateSettings(Settings):
    protocol: Literal["honest", "paper"] = Field(
        "honest", description="paper: epoch and threshold are chosen on the test itself, for comparison with the paper"
    )
    mirror: bool = Field(True, description="average the outputs of each photo and of its mirror image")
    batch: int = Field(128, ge=1)
    validation_share: float = Field(0.1, gt=0, lt=0.5, description="classification: share of the training list")
    validation_models: int = Field(8, ge=4, description="verification: models held out, at least 2 a make")
    folds: int | None = Field(
        None,
        ge=0,
        le=20,
        description="verification: folds by make instead; 4 where fewer than 60 models train; 0: none",
    )
    validation_pairs: int = Field(3000, ge=10, description="pairs drawn for each difficulty")
    resamples: int = Field(1000, ge=100, description="bootstrap resamples behind each 95 % interval")


class Strategy(Settings):
    """Everything that decides a run, but the dataset's place."""

    about: str = Field("", description="one line that `kcars strategies` prints")
    task: Literal["classify", "verify"]
    target: Literal["make", "model"] = "model"
    difficulty: Literal["easy", "medium", "hard"] = Field(
        "hard",
        description="verify: whose validation pairs choose the best epoch; medium when the target is make",
    )
    data: DataSettings
    model: ModelSettings
    loss: LossSettings
    train: TrainSettings
    evaluate: EvaluateSettings = Field(default_factory=EvaluateSettings)

    @model_validator(mode="before")
    @classmethod
    def _difficulty_of_target(cls, settings):
        # Hard pairs are all of one make: labelled by make, nothing is left to tell apart.
        if isinstance(settings, dict) and settings.get("target") == "make" and "difficulty" not in settings:
            return {**settings, "difficulty": "medium"}
        return settings

    @model_validator(mode="after")
    def _fits_together(self):
        pairs = self.data.order == "pairs"
        if pairs != (self.loss.name == "contrastive"):
            raise ValueError("loss contrastive and data.order pairs go together, and with no other")
        if pairs and self.task == "classify":
            raise ValueError("data.order pairs belongs to task verify")
        if self.loss.name == "arcface" and self.task == "classify":
            raise ValueError("loss arcface belongs to task verify")
        if self.task == "verify" and self.loss.name not in ("contrastive", "arcface"):
            raise ValueError(f"loss {self.loss.name} belongs to task classify; verify takes contrastive or arcface")
        relabelled = self.target == "make" and self.evaluate.protocol == "honest"
        if self.task == "verify" and relabelled and self.difficulty == "hard":
            raise ValueError("hard pairs are all of one make, so target make is undefined there; take easy or medium")
        if self.data.on_bad_photo == "skip" and self.data.cache == "off":
            raise ValueError(
                "data.on_bad_photo skip needs data.cache disk or memory: bad photos are known once all are decoded"
            )
        if self.data.order == "pk" and self.train.batch % self.data.photos_per_class:
            raise ValueError(
                f"train.batch {self.train.batch} is not a multiple of data.photos_per_class "
                f"{self.data.photos_per_class}"
            )
        if self.train.plateau and self.train.plateau.monitor == "val_loss" and self.loss.name == "arcface":
            raise ValueError("loss arcface has no val_loss on unseen models; let train.plateau.monitor be loss")
        if self.train.plateau and self.evaluate.folds:
            raise ValueError(
                "train.plateau follows a validation score, which training on everything after folds has not"
            )
        if self.train.plateau and self.train.schedule != "constant":
            raise ValueError("train.plateau changes the rate itself: it needs train.schedule constant")
        return self


def json_schema() -> str:
    """The JSON schema of strategy files, as shipped in configs/strategy.schema.json."""
    return json.dumps(Strategy.model_json_schema(), indent=1) + "\n"


def configs_folder() -> Path:
    """Where the strategies lie: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    return package / "configs" if (package / "configs").is_dir() else package.parent / "configs"


def strategy_files() -> dict[str, Path]:
    """Name -> file of every shipped strategy; the paper's go by their bare acronym."""
    files = sorted(configs_folder().glob("*/*.yaml"))
    own = {"demo", "start"}
    return {f"{file.parent.name}/{file.stem}" if file.parent.name in own else file.stem: file for file in files}


def load_strategy(name: str, overrides: tuple[str, ...] = (), **fixed: str | None) -> Strategy:
    """The strategy of a shipped name or a YAML file, with `key.sub=value` overrides.

    `fixed` (task, target, difficulty) come from the command line: they fill what the file leaves open; a file of
    another task or target is an error, and so is a difficulty of task classify. Raises KcarsError with file, key and
    value.
    """
    path = _find(name)
    settings = _read_yaml(path)
    for key, value in fixed.items():
        if value is None:
            continue
        if key != "difficulty" and settings.get(key, value) != value:
            raise KcarsError(f"--{key} {value}: strategy {name} is for {key} {settings[key]}; choose another strategy")
        settings[key] = value
    for text in overrides:
        _override(settings, text)
    strategy = check(settings, where=str(path) if not overrides else f"{path} with --set")
    if fixed.get("difficulty") and strategy.task == "classify":
        raise KcarsError(f"--difficulty {fixed['difficulty']}: only task verify has one")
    return strategy


def check(settings: dict, where: str) -> Strategy:
    """A Strategy from plain settings; KcarsError `where: key: what is wrong (value)`."""
    try:
        return Strategy.model_validate(settings)
    except ValidationError as error:
        raise KcarsError(f"{where}: {_explain(error.errors()[0])}") from None


def _find(name: str) -> Path:
    shipped = strategy_files()
    if name in shipped:
        return shipped[name]
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if path.is_file():
            return path
        raise KcarsError(f"--strategy {name}: there is no such file")
    raise one_of("--strategy", name, shipped)


class _Loader(yaml.SafeLoader):
    """YAML where `1e-3` is a number and a key, which is text, may stand once."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is no text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)


def _read_yaml(path: Path) -> dict:
    try:
        settings = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  (a SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise KcarsError(f"{path}: cannot be read ({error})") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or a number that is none.
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", error)).splitlines()[0]
        raise KcarsError(f"{path}{line}: not valid YAML: {problem}") from None
    if not isinstance(settings, dict):
        raise KcarsError(f"{path}: holds {type(settings).__name__}; a strategy is a mapping of {', '.join(_keys(()))}")
    return settings


def _override(settings: dict, text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise KcarsError(f"--set {text}: expected key=value, such as train.epochs=3")
    *sections, last = key.split(".")
    at = settings
    for section in sections:
        if at.get(section) is None:
            at[section] = {}
        at = at[section]
        if not isinstance(at, dict):
            raise KcarsError(f"--set {text}: {section} is a single value, not a section")
    try:
        at[last] = yaml.load(value, _Loader)  # noqa: S506  (a SafeLoader)
    except (yaml.YAMLError, ValueError):
        at[last] = value


def _explain(error: dict[str, Any]) -> str:
    location = [part for part in error["loc"] if part not in _LOSSES]  # pydantic names the loss in the place
    place = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown setting; known here: {', '.join(_keys(error['loc'][:-1]))}"
    if error["type"] == "missing":
        return f"{place}: is missing and has no default"
    if error["type"].startswith("union_tag"):
        found = error["input"].get("name") if isinstance(error["input"], dict) else error["input"]
        return f"{place}.name: {found!r} is not known; choose one of {', '.join(_LOSSES)}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message} (found {error['input']!r})" if place else message


def _keys(location: tuple) -> list[str]:
    """Setting names allowed at a place such as ("train", "plateau") or ("loss", "arcface")."""
    model: Any = Strategy
    for part in location:
        model = _LOSSES[part] if part in _LOSSES else _settings_of(model, part)
    return list(model.model_fields)


def _settings_of(model, part: str):
    annotation = model.model_fields[part].annotation
    choices = getattr(annotation, "__args__", ())  # of an optional section, such as PlateauSettings | None
    return next((choice for choice in choices if choice is not type(None)), annotation)


_LOSSES = {
    "cross_entropy": CrossEntropySettings,
    "focal": FocalSettings,
    "sigmoid_focal": FocalSettings,
    "contrastive": ContrastiveSettings,
    "arcface": ArcFaceSettings,
}
_SHORT_TARGET = {"make": "Mk", "model": "Md"}
_SHORT_BACKBONE = {"resnet18": "Res18", "simple_resnet": "SRes", "simple_resnet_large": "SResL"}
_SHORT_SIAMESE = {"resnet18": "SRes18"}
_SHORT_LOSS = {"cross_entropy": "CE", "focal": "FO", "contrastive": "CT"}


def acronym(strategy: Strategy) -> str:
    """The paper's name for a strategy, without the suffixes that tell its Table IV rows and SCR apart."""
    loss, batch = _SHORT_LOSS[strategy.loss.name], f"B{strategy.train.batch}"
    if strategy.task == "verify":
        return f"Vr_{_SHORT_SIAMESE[strategy.model.backbone]}_{loss}_{batch}"
    return f"{_SHORT_TARGET[strategy.target]}_{_SHORT_BACKBONE[strategy.model.backbone]}_{loss}_{batch}"


def to_yaml(strategy: Strategy) -> str:
    """Every setting, defaults filled in, as YAML that loads again."""
    return yaml.safe_dump(strategy.model_dump(), sort_keys=False, allow_unicode=True, width=100)
