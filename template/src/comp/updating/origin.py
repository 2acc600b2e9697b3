"""Which template, at which version, this repository comes from: what its answers file says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from comp.errors import CompError

ANSWERS = Path(".copier-answers.yml")


@dataclass(frozen=True)
class Origin:
    """What a repository's answers file says."""

    source: str
    version: str  # a tag, or what `git describe` says of the commit
    yours: tuple[str, ...]  # patterns of the user's own files
    answers: frozenset[str]  # names of the questions
    in_baseline: Mapping[str, str]  # name of a question → the key of conf/baseline.yaml that says its answer

    @classmethod
    def of(cls, folder: Path) -> "Origin":
        """Raises CompError: there is no such file, or it is not one of copier's."""
        try:
            values: Any = yaml.safe_load((folder / ANSWERS).read_text(encoding="utf-8"))
            source, version = values["_src_path"], str(values["_commit"])
            names = frozenset(name for name in values if not name.startswith("_"))
            return cls(source, version, tuple(values.get("_yours", ())), names, dict(values.get("_in_baseline", {})))
        except FileNotFoundError:
            raise CompError(
                f"{ANSWERS} is not here: run comp update in the repository's folder; if it was deleted, "
                f"git log --oneline -- {ANSWERS} finds the commit to fetch it from"
            ) from None
        except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise CompError(
                f"{ANSWERS} does not say which version of the template this is (_src_path, _commit): "
                f"git checkout HEAD~1 -- {ANSWERS} fetches an earlier state"
            ) from None
