"""YAML as configurations have it: version 1.2, keys that appear once, and nothing that expands without end."""

import time

import pytest
import yaml

from comp.config import load_config
from comp.config.yaml12 import Dumper, parsed
from comp.errors import CompError

LAUGHS = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "On", "NO", "y", "n"])
def test_only_true_and_false_are_truth_values(word):
    assert parsed(f"{word}: {word}", "x") == {word: word}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("1e-4", 1e-4),
        ("1.0e-4", 1e-4),
        ("-.5", -0.5),
        ("6.", 6.0),
        ("1E3", 1000.0),
        ("12", 12),
        ("-3", -3),
        ("0x1f", 31),
        ("0o17", 15),
        ("007", "007"),  # as ids are written
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2020-13-45", "2020-13-45"),
        ("2020-01-02", "2020-01-02"),
        ("9" * 30, 10**30 - 1),
        ("9" * 5000, "9" * 5000),
        ("e5", "e5"),
        ("'1e-4'", "1e-4"),
    ],
)
def test_a_word_is_what_version_1_2_says(text, value):
    found = parsed(text, "x")
    assert (found, type(found)) == (value, type(value))
    assert parsed(yaml.dump({"k": value}, Dumper=Dumper), "x") == {"k": value}


def test_infinity_and_nan_are_numbers_that_the_schema_refuses(repo, small):
    assert parsed("[.inf, -.INF]", "x") == [float("inf"), -float("inf")]
    for word in (".inf", ".nan", "1e999"):
        with pytest.raises(CompError, match=r"train\.lr: input should be a finite number"):
            small.configure(train={"lr": float(word.replace(".", "", 1)) if word[0] == "." else float(word)})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("seed: 1\nname: a\nseed: 2", "line 3: not valid YAML: the key 'seed' appears twice"),
        ("train: {lr: 1, lr: 2}", "line 1: not valid YAML: the key 'lr' appears twice"),
        ("train:\n  lr: 1\n  epochs: 2\ntrain:\n  lr: 2", "line 4: not valid YAML: the key 'train' appears twice"),
        ("? [a, b]\n: 1", "a key is a word"),
        (LAUGHS, "more than 100000 values once aliases are written out"),
        ("a: &a [*a]", "nested more than 40 deep"),
        ("a: &a {b: *a}", "nested more than 40 deep"),
        ("[" * 5000, "not valid YAML"),
        ("a: " + "[" * 60 + "]" * 60, "nested more than 40 deep"),
        ("a: " + "{b: " * 3000, "not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]", "the tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
        ("a: !!int x", "not valid YAML"),
        ("a: !!float x", "not valid YAML"),
        ("a: !!timestamp x", "the tag"),
        ("a: !!binary x", "the tag"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ('a: "\\0"', "a character that cannot be printed"),
        ('a: "\\ud800"', "a character that cannot be printed"),
        ("a: \x01", "not valid YAML"),
        ("a: *b", "undefined alias"),
        (
            "a: 1\n<<<<<<< before updating\nb: 1\n=======\nb: 2\n>>>>>>> after\n",
            "line 2: two versions stand between <<<<<<<",
        ),
    ],
)
def test_what_is_refused_is_a_line_with_its_file_and_soon(text, why, repo, small):
    (repo / "exp.yaml").write_text(text, encoding="utf-8")
    started = time.monotonic()
    with pytest.raises(CompError) as refused:
        load_config(repo / "exp.yaml", [f"task={small.task}"])
    assert time.monotonic() - started < 5
    message = str(refused.value)
    assert message.startswith(f"{repo / 'exp.yaml'}")
    assert why in message
    assert "\n" not in message


def test_a_few_aliases_are_fine():
    assert parsed("a: &a {x: 1}\nb: *a\nc: [*a, *a]", "x")["c"] == [{"x": 1}, {"x": 1}]


def test_a_large_file_is_not_read_to_its_end(repo, small):
    (repo / "exp.yaml").write_bytes(b"a: 1 #" + b"x" * 3_000_000)
    with pytest.raises(CompError, match=r"exp\.yaml: larger than 1 MB"):
        load_config(repo / "exp.yaml", [f"task={small.task}"])


@pytest.mark.parametrize("bases", [25, 1500])
def test_many_bases_are_refused(bases, repo, small):
    for number in range(bases):
        (repo / f"b{number}.yaml").write_text(f"base: b{number + 1}.yaml", encoding="utf-8")
    (repo / f"b{bases}.yaml").write_text("seed: 1", encoding="utf-8")
    with pytest.raises(CompError, match="base: more than 20 files inherit from each other"):
        load_config(repo / "b0.yaml")
    assert load_config(repo / f"b{bases - 10}.yaml", [f"task={small.task}"]).seed == 1


@pytest.mark.parametrize("override", ["seed=[", "seed={a: 1, a: 2}", "seed=&a [*a]", "x" * 5000, "data.root=\ud800"])
def test_an_override_is_held_to_the_same(override, repo, small, comp):
    small.configure()
    status, _, errors = comp("config", override)
    assert (status, errors.count("\n")) == (1, 1)
    assert len(errors) < 400


def test_a_base_of_any_name_is_one_line(repo, small):
    for name in ("x" * 5000, "a/" * 2000, "[1]", "{a: 1}"):
        (repo / "exp.yaml").write_text(f"base: {name}", encoding="utf-8")
        with pytest.raises(CompError, match=r"exp\.yaml: base: "):
            load_config(repo / "exp.yaml")
