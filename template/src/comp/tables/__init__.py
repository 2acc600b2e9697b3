"""What the competition gave, read into one train and one test table whatever its layout was."""

from comp.tables.targets import Tables, Targets

__all__ = ["Tables", "Targets"]
