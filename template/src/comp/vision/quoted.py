"""Values as YAML spells them, for the line that an error says to add."""

from collections.abc import Sequence

import yaml


def quoted(value: str | Sequence[str]) -> str:
    """A text, or a list of them, on one line: `Mild`, `'No'`, `[Mild, 'No']`."""
    values = [value] if isinstance(value, str) else list(value)
    text = yaml.safe_dump(values, default_flow_style=True, allow_unicode=True, width=float("inf")).strip()
    return text[1:-1] if isinstance(value, str) else text
