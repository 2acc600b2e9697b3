"""What tests of every task use: where the code lies, signals, and Accelerate's memory of a process."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from comp.config import load_config

SOURCE = Path(__file__).resolve().parent.parent / "src"
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows ends a process, and does not ask it to stop")


def configure(small: dict[str, Any], **sections: object) -> Any:
    """Writes conf/baseline.yaml, `small` unless `sections` say otherwise, key by key, and loads it."""
    values: dict[str, Any] = {key: dict(value) if isinstance(value, dict) else value for key, value in small.items()}
    for key, value in sections.items():
        before = values.get(key)
        values[key] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    path = Path("conf/baseline.yaml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return load_config(path)


def recipes() -> list[Path]:
    """The recipes beside the tests: of a generated repository, or of the template where it stands."""
    top = SOURCE.parent
    return sorted((top / "conf" / "recipes").glob("*.yaml")) or sorted((top.parent / "recipes").glob("*.yaml"))


def forget_accelerate() -> None:
    """Accelerate keeps its first precision and devices for the life of a process."""
    if "accelerate" in sys.modules:
        from accelerate.state import AcceleratorState, GradientState

        AcceleratorState._reset_state(True)
        GradientState._reset_state()
