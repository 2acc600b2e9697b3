"""Another set of images than the competition's: those that are pretrained on, and those that were generated."""

from comp.config.load import changed_by
from comp.vision.data.settle import AnyConfig
from comp.vision.schema import Data

INHERITED = ("frame", "background", "fill_nan", "cache")  # keys of `data` that are the same for both


def with_other_set(config: AnyConfig, section: str) -> AnyConfig:
    """`config` whose `data` are those of `section`, pretrain or synth.

    What those do not say is as in a new configuration: columns, groups and the scale are of the competition's images.

    Raises:
        CompError: a key is unknown, or has a wrong type.
    """
    inherited = {key: getattr(config.data, key) for key in INHERITED}
    work = config.data.work or config.data.root
    data = {**Data().model_dump(mode="json"), **inherited, "work": work, **getattr(config, section).data}
    return changed_by(f"{section}.data", config, data=data)
