"""What the competition gave, read into one train and one test table whatever its layout was."""

from comp.tables.read import Tables, read_tables
from comp.tables.targets import Targets

__all__ = ["Tables", "Targets", "read_tables"]
