"""Another set of images than the competition's: those that are pretrained on, and those that were generated."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from comp.config.load import changed_by
from comp.errors import CompError
from comp.vision.data.settle import AnyConfig
from comp.vision.schema import Data

INHERITED = ("frame", "background", "fill_nan", "cache")  # keys of `data` that are the same for both
KEY = re.compile(rf"(?<![\w./\\-])data\.(?=({'|'.join(Data.model_fields)})\b(?!\.\w))")


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


def as_written(section: str, text: str) -> str:
    """What is told of that set, with its keys as the configuration has them: `data.id` is `pretrain.data.id`."""
    return KEY.sub(f"{section}.data.", text)


@contextmanager
def reading_other_set(section: str) -> Iterator[None]:
    """Around what reads that set: an error has its keys as the configuration has them."""
    try:
        yield
    except CompError as error:
        raise CompError(as_written(section, str(error))) from error.__cause__
