"""The typed configuration: what may stand in it (`schema`) and how it is read (`load`)."""

from comp.config.load import load_config, to_yaml
from comp.config.schema import Config

__all__ = ["Config", "load_config", "to_yaml"]
