"""Any text as a configuration or an override: a configuration, or a line."""

import json
from pathlib import Path

import yaml
from hypothesis import given
from hypothesis import strategies as st
from support import damaged

from comp.config import load_config, to_yaml
from comp.config.yaml12 import Dumper, parsed
from comp.errors import CompError
from comp.tasks import imported, tasks_here

VALID = [
    to_yaml(imported(task.schema)()).encode() + b"members: [{name: a, train: {lr: 1e-4}}]\n"
    for task in tasks_here().values()
]
ALIASES = (
    b"data: &d {root: x}\ntrain: {lr: 1e-4, epochs: 3}\nfolds: {use: [0, 1]}\nmembers:\n  - name: a\n    data: *d\n"
)
KEYS = sorted({key for task in tasks_here().values() for key in imported(task.schema).model_fields})
WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029\ufeff"), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=4), max_leaves=12
)


def loads(path: Path, *overrides: str) -> None:
    """Every fault of a configuration has its line: each is one."""
    try:
        config = load_config(path, list(overrides))
    except CompError as error:
        assert str(error).strip()
        assert all(0 < len(line) < 2000 for line in str(error).split("\n"))
        return
    (path.parent / "again.yaml").write_text(to_yaml(config), encoding="utf-8")
    assert load_config(path.parent / "again.yaml") == config


@given(damaged(*VALID, ALIASES))
def test_any_bytes(repo, content):
    (repo / "exp.yaml").write_bytes(content)
    loads(repo / "exp.yaml", f"task={next(iter(tasks_here()))}")


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4), st.sampled_from(sorted(tasks_here())))
def test_any_values(repo, values, task):
    (repo / "exp.yaml").write_text(json.dumps(yaml_keys(values)), encoding="utf-8")
    loads(repo / "exp.yaml", f"task={task}")


def yaml_keys(value: object) -> object:
    """JSON is YAML, but for the numbers that it spells otherwise."""
    if isinstance(value, dict):
        return {str(key): yaml_keys(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [yaml_keys(inner) for inner in value]
    return str(value) if isinstance(value, float) else value


@given(
    st.sampled_from(KEYS) | st.text(max_size=20),
    st.sampled_from(["", ".", ".use", ".lr", ".root", ".n"]),
    st.text(max_size=40) | VALUES.map(lambda value: yaml.dump(value, Dumper=Dumper)),
)
def test_any_override(repo, key, below, value):
    task = next(iter(tasks_here()))
    (repo / "exp.yaml").write_text(f"task: {task}", encoding="utf-8")
    loads(repo / "exp.yaml", f"{key}{below}={value}")


@given(VALUES)
def test_what_is_written_is_read_as_the_same(value):
    try:
        found = parsed(yaml.dump({"k": value}, Dumper=Dumper, sort_keys=False, allow_unicode=True), "x")
    except CompError:
        return
    assert repr(found) == repr({"k": value})
