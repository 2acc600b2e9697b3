"""`comp synth train`: trains the experiment once more, with the generated images that the guard let in."""

from comp.config.load import changed, changed_by, members_of
from comp.runs.rundir import RunDir
from comp.vision.data.combined import combined_digest, combined_path
from comp.vision.schema import ImageConfig
from comp.vision.synth.classifier import judge_of
from comp.vision.synth.generated import settings_of
from comp.vision.training.train import train


def synth_train(config: ImageConfig) -> int:
    """Trains `<name>-augmented`, or one such run for each member; the exit status.

    Raises:
        CompError: comp synth combine has not been run.
    """
    for experiment in augmented(config):
        status = train(experiment, ["train", str(RunDir.of(experiment).config)])
        if status:
            return status
    return 0


def augmented(config: ImageConfig) -> list[ImageConfig]:
    """The same experiments, whose training rows generated images join."""
    settings, path = settings_of(config), combined_path(config)
    judge = settings.classifier and judge_of(config, settings.classifier).path.name
    synthetic = {"combined": str(path), "digest": combined_digest(path), "run": judge}
    return [changed(each, synthetic=synthetic) for each in experiments(config)]


def experiments(config: ImageConfig) -> list[ImageConfig]:
    """The same, before it is known which images those are."""
    train_settings = settings_of(config).train
    return [
        changed(changed_by("synth.train", base, train=train_settings), name=f"{base.name}-augmented", parent=base.name)
        for base in members_of(config) or [config]
    ]
