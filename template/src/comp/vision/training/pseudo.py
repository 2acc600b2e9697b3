"""`comp pseudo`: trains students of the trained models, which also learn from the test rows that those are sure of."""

from comp.config.load import changed, changed_by, members_of
from comp.runs.rundir import RunDir
from comp.vision.schema import ImageConfig, Pseudo, Selection
from comp.vision.training.train import train


def pseudo(config: ImageConfig) -> int:
    """Trains the students of the experiment, or of each of its members, round after round; the exit status.

    Raises:
        CompError: the teachers are not trained.
    """
    for number in range(1, config.pseudo.rounds + 1):
        for student in students(config, number):
            status = train(student, ["train", str(RunDir.of(student).config)])
            if status:
                return status
    return 0


def students(config: ImageConfig, number: int | None = None) -> list[ImageConfig]:
    """The experiments of round `number`, or of the last one, called <member>-pseudo, then <member>-pseudo2 …."""
    number = number or config.pseudo.rounds
    before, now = ("" if number == 1 else _suffix(number - 1)), _suffix(number)
    bases = members_of(config) or [config]
    teachers = [base.name + before for base in bases]
    selection = config.pseudo.model_dump(include=set(Selection.model_fields))
    fine = {"freeze_epochs": 0, "freeze_lr": None, "warmup_epochs": 0.0, **Pseudo().train}
    return [
        changed(
            changed_by("pseudo.train", base, train={**fine, **config.pseudo.train}),
            name=base.name + now,
            parent=base.name + before,
            pretrain=None,
            student={**selection, "start": base.name + before, "teachers": teachers},
        )
        for base in bases
    ]


def _suffix(number: int) -> str:
    return "-pseudo" if number == 1 else f"-pseudo{number}"
