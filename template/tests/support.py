"""What tests of every task use: where the code lies, signals, and Accelerate's memory of a process."""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st
from processes import Comp

from comp.config import load_config
from comp.errors import CompError

SOURCE = Path(__file__).resolve().parent.parent / "src"
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
for_a_release = partial(pytest.param, marks=pytest.mark.release)  # another value of the test's is for every day
needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows ends a process, and does not ask it to stop")


def assert_same_files(one: Path, other: Path) -> None:
    """The same names below both folders, and the same bytes in each."""
    names = sorted(path.relative_to(one) for path in one.rglob("*.*"))
    assert names == sorted(path.relative_to(other) for path in other.rglob("*.*"))
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


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


def damaged(*valid: bytes) -> st.SearchStrategy[bytes]:
    """Any bytes, and valid files with parts changed, taken away, put in, or put twice."""
    noise = st.binary(max_size=40)
    edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 60), noise), min_size=1, max_size=4)

    def edited(whole: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
        for share, length, put in changes:
            place = round(share * len(whole))
            whole = whole[:place] + put + whole[place + length :]
        return whole

    cut = st.builds(lambda whole, share: whole[: round(share * len(whole))], st.sampled_from(valid), st.floats(0, 1))
    return st.one_of(st.binary(max_size=400), cut, st.builds(edited, st.sampled_from(valid), edits))


def gives_a_result_or_a_line(read: Callable[[], object]) -> None:
    """`read` may refuse what it reads, in a line."""
    try:
        read()
    except CompError as error:
        assert str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 2000


def killed_at(path: Path) -> None:
    """Starts `comp run` and kills it as soon as `path` is there."""
    process = Comp("run")
    deadline = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    assert process.poll() is None, f"it ended before {path} was there"
    process.kill()
    process.wait()


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
