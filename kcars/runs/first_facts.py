"""The content of run.json at the start of a run."""

from kcars.core.environment import machine, versions
from kcars.core.files import real_path
from kcars.tasks.plan import Plan

FORMAT = 2


def first_facts(plan: Plan, name: str) -> dict:
    """Return settings, data, machine and versions of a new run; name: the strategy's name."""
    dataset = plan.dataset
    unknown, boxed = int((plan.labels(dataset.test) < 0).sum()), plan.strategy.data.crop == "box"
    return {
        "format": FORMAT,
        "strategy": name,
        "finished": False,
        "settings": plan.strategy.model_dump(),
        "data": {
            "source": str(real_path(dataset.source)),
            "fingerprint": dataset.fingerprint(),
            "split": dataset.split,
            "missing_photos": len(dataset.missing),
            "bad_photos": list(dataset.bad),
            "training_photos": len(plan.train),
            "training_photos_in_boxes": int((dataset.table.box[plan.train, 0] >= 0).sum()) if boxed else 0,
            "validation_photos": len(plan.validation),
            "test_photos": len(dataset.test_rows()) - unknown,
            "test_photos_of_unknown_classes": unknown,
            "classes": len(plan.classes),
        },
        "versions": versions(),
        "machine": machine(),
    }
