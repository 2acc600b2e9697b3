"""The typed configuration: what may stand in it (`common`, and each task's own schema) and how it is read (`load`)."""

from comp.config.common import Experiment
from comp.config.load import load_config, to_yaml

__all__ = ["Experiment", "load_config", "to_yaml"]
