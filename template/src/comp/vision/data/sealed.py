"""Tables whose first line carries their settings and a digest: what was edited by hand is refused."""

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from comp.errors import CompError
from comp.files import write_text
from comp.readback import reading


def write_sealed(path: Path, kind: str, settings: Mapping[str, object], table: pd.DataFrame) -> str:
    """Writes `table` below a line of its settings; returns the digest of both."""
    about = " ".join(f"{name}={value}" for name, value in settings.items())
    body = table.to_csv(index=False, lineterminator="\n")
    digest = _digest(about + body)
    write_text(path, f"# {kind} {about} digest={digest}\n{body}")
    return digest


def read_sealed(path: Path, kind: str, changed: str, way_out: str) -> tuple[pd.DataFrame, str, str]:
    """The table as text, its settings and its digest. `changed` says what an edit means, `way_out` what helps.

    Raises:
        CompError: this is not what `write_sealed` has written.
    """
    with reading(path, way_out):
        first, _, body = path.read_bytes().decode().partition("\n")
    header = re.fullmatch(r"# (\w+) (.*) digest=(\w+)", first)
    if header is None or header[1] != kind or header[3] != _digest(header[2] + body):
        raise CompError(f"{path} was changed since {changed}: {way_out}")
    table = pd.read_csv(io.StringIO(body), dtype=str, keep_default_na=False)
    return table, header[2], header[3]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
