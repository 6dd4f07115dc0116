"""The trainings of an ablation study: their settings, and as many epochs as the budget of multiply-adds allows each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ablation_lists
import numpy as np
from ablation_study import Study, slug

from kcars.core.errors import KcarsError
from kcars.core.files import fingerprint
from kcars.data.photo_table import Dataset
from kcars.data.source import load
from kcars.input.progressive_resizing import sizes_by_epoch
from kcars.runs.keras_setup import start
from kcars.settings import Strategy
from kcars.settings.strategy import load_strategy
from kcars.tasks import task_module
from kcars.tasks.plan import Plan

DRAWN = "drawn"


@dataclass(frozen=True)
class Work:
    """What a training is to see and cost: photos an epoch, and the multiply-adds of a photo in each epoch."""

    photos_per_epoch: int
    multiply_adds: tuple[int, ...]

    @property
    def epochs(self) -> int:
        return len(self.multiply_adds)

    @property
    def photos(self) -> int:
        return self.epochs * self.photos_per_epoch

    @property
    def total(self) -> int:
        """Multiply-adds of all epochs; of passes forward, as scores tell them."""
        return self.photos_per_epoch * sum(self.multiply_adds)


@dataclass(frozen=True, eq=False)
class Trial:
    """One training, or one scoring anew, into a run folder.

    strategy, overrides: what `kcars train` is told; settings: what that means; point: of a sweep; before: the run that it
    begins with; source: the run that is scored anew, with `overrides` alone.
    """

    variant: str
    seed: int
    folder: Path
    strategy: str
    overrides: tuple[str, ...]
    settings: Strategy
    data: str
    work: Work
    point: tuple[str, ...] = ()
    before: "Trial | None" = None
    source: "Trial | None" = None

    def __str__(self) -> str:
        return self.folder.name


def fitted(budget: float, photos_per_epoch: int, dearest: int, costs: Callable[[int], Sequence[int]]) -> Work:
    """The most epochs whose multiply-adds stay within the budget; one where not even that does.

    costs: for a number of epochs, multiply-adds of a photo in each of them, none above `dearest`.
    """
    epochs = max(1, int(budget // (photos_per_epoch * dearest)))
    while photos_per_epoch * sum(costs(epochs + 1)) <= budget:  # Smaller photos in the first ones leave room for more.
        epochs += 1
    return Work(photos_per_epoch, tuple(costs(epochs)))


class Planner:
    """Settles what each variant of a study runs, on one dataset; networks are built only to be counted.

    budget: multiply-adds of each variant and seed.
    """

    def __init__(self, study: Study, data: str, out: Path):
        self.study, self.data, self.out = study, data, Path(out).resolve()
        self._datasets: dict[tuple, Dataset] = {}
        self._costs: dict[str, int] = {}
        self._trials: dict[tuple, Trial] = {}
        base = load_strategy(study.base, [*study.set, f"data.size_px={study.budget.size_px}", "data.first_px=null"])
        self.task = base.task
        if study.thin:
            self.data = self._long_tailed(base)
        plan = task_module(base.task).plan(self._dataset(self.data, base), base)
        self.budget = study.budget.photos * self._multiply_adds(plan, study.budget.size_px)

    def points(self, name: str) -> list[tuple[str, ...]]:
        """The points of a variant's sweep, or of that of the variant whose runs it scores."""
        return self.study.variants[self.study.variants[name].of or name].points

    def trial(self, name: str, point: tuple[str, ...], seed: int) -> Trial:
        """KcarsError, which names the variant, for settings that cannot be."""
        if (name, point, seed) not in self._trials:
            variant, folder = self.study.variants[name], self.out / "-".join([slug(name), *map(slug, point), str(seed)])
            source = self.trial(variant.of, point, seed) if variant.of else None
            try:
                made = self._scored_anew(name, folder, source) if source else self._trained(name, folder, point, seed)
            except KcarsError as error:
                raise KcarsError(f"variant {name}: {error}") from None
            self._trials[name, point, seed] = made
        return self._trials[name, point, seed]

    def _trained(self, name: str, folder: Path, point: tuple[str, ...], seed: int) -> Trial:
        variant, before, budget = self.study.variants[name], None, self.budget
        strategy = variant.strategy or self.study.base
        overrides = [*self.study.set, *variant.set, *point, f"train.seed={seed}"]
        if variant.begins_with:
            place = self.out / f"{slug(name)}-before-{seed}"
            overrides.append(f"model.weights={place}")
            before = self._beginning(name, place, seed, load_strategy(strategy, overrides))
            budget -= before.work.total
        work = self._work(load_strategy(strategy, overrides), self.data, budget)
        overrides.append(f"train.epochs={work.epochs}")
        settings = load_strategy(strategy, overrides)
        if settings.task != self.task:
            raise KcarsError(
                f"is of task {settings.task}, the study's base of {self.task}; their scores do not compare"
            )
        if point and settings.evaluate.protocol == "paper":
            raise KcarsError("sweep: protocol paper validates on the test itself, which must choose nothing")
        return Trial(name, seed, folder, strategy, tuple(overrides), settings, self.data, work, point, before)

    def _beginning(self, name: str, folder: Path, seed: int, then: Strategy) -> Trial:
        """The first run, of a variant that goes on by the settings `then`."""
        given = self.study.variants[name].begins_with
        overrides = [*([] if given.strategy else self.study.set), *given.set, f"train.seed={seed}"]
        strategy = given.strategy or self.study.base
        settings = load_strategy(strategy, overrides)
        data = given.data or (self._without_held_out(then) if settings.task != then.task else self.data)
        work = self._work(settings, data, given.share * self.budget)
        overrides.append(f"train.epochs={work.epochs}")
        settings = load_strategy(strategy, overrides)
        return Trial(name, seed, folder, strategy, tuple(overrides), settings, data, work)

    def _scored_anew(self, name: str, folder: Path, source: Trial) -> Trial:
        overrides = tuple(self.study.variants[name].set)
        settings = load_strategy(source.strategy, [*source.overrides, *overrides])
        return replace(source, variant=name, folder=folder, overrides=overrides, settings=settings, source=source)

    def _work(self, settings: Strategy, data: str, budget: float) -> Work:
        task, dataset = task_module(settings.task), self._dataset(data, settings)
        plan = task.plan(dataset, settings)
        photos = sum(photos_per_epoch(one) for one in (plan, *task.folds(dataset, settings)))

        def costs(epochs: int) -> list[int]:
            return [self._multiply_adds(plan, size) for size in sizes_by_epoch(settings.data, epochs)]

        return fitted(budget, photos, self._multiply_adds(plan, settings.data.size_px), costs)

    def _multiply_adds(self, plan: Plan, size_px: int) -> int:
        """Of a photo of this size through the network that is scored, as scores.json tells them."""
        strategy = plan.strategy
        key = fingerprint(strategy.task, strategy.model.model_dump(), len(plan.classes), size_px)
        if key not in self._costs:
            start(strategy.train, "float32")
            from kcars.models.flops import multiply_adds

            data = strategy.data.model_copy(update={"size_px": size_px, "first_px": None})
            sized = replace(plan, strategy=strategy.model_copy(update={"data": data}))
            self._costs[key] = multiply_adds(task_module(strategy.task).network(sized).scored)
        return self._costs[key]

    def _dataset(self, data: str, settings: Strategy) -> Dataset:
        told = settings.data
        key = (data, settings.task, told.split, told.test_list, told.test_share, told.split_seed)
        if key not in self._datasets:
            self._datasets[key] = load(None if data == DRAWN else Path(data), settings.task, told)
        return self._datasets[key]

    def dataset_of(self, trial: Trial) -> Dataset:
        return self._dataset(trial.data, trial.settings)

    def _long_tailed(self, base: Strategy) -> str:
        thin, source = self.study.thin, Path(self._dataset(self.data, base).source)
        place = self.out / f"data/thin-{thin.ratio:g}-{thin.seed}"
        return str(ablation_lists.long_tailed(source, place, base.task, base.target, thin.ratio, thin.seed))

    def _without_held_out(self, then: Strategy) -> str:
        """The study's dataset for a classifier that a verifier begins with: it may not know the models that validate."""
        dataset = self._dataset(self.data, then)
        plan = task_module(then.task).plan(dataset, then)
        held = np.unique(dataset.table.ids["model"][plan.validation]).tolist()
        if then.task != "verify" or not held:
            return self.data
        place = self.out / f"data/without-{fingerprint(held)[:8]}"
        return str(ablation_lists.without_models(Path(dataset.source), place, set(held)))


def photos_per_epoch(plan: Plan) -> int:
    """Photos that pass in an epoch of a training by the plan; a pair is two."""
    stream = task_module(plan.strategy.task).stream(plan, None)
    return stream.steps_per_epoch // stream.parts * stream.batch_size * (2 if stream.order == "pairs" else 1)
