"""A newer recipe comes beside the one that experiments inherit, and only where it would train otherwise."""

from pathlib import Path

import pytest

from comp.updating.recipes import bring_newer_recipes

OLD = "recipe: {title: One, about: x}\ntask: classify\nfolds: {n: 5}\ntrain: {lr: 0.1, epochs: 3}\n"
NEW = "recipe: {title: One, about: y}\ntask: classify\nfolds: {n: 4}\ntrain: {lr: 0.2, keep: null}\n"
BASE = "base: recipes/one.yaml\nfolds: {n: 5}\n"


@pytest.fixture
def bring(tmp_path):
    """`bring(here, old, new)` with the texts of one recipe; returns what is told, and the new file's text."""

    def run(here: str | None, old: str | None, new: str | None, **more: str) -> tuple[dict[str, list[str]], str | None]:
        for folder, text in (("here", here), ("old", old), ("new", new)):
            recipes = tmp_path / folder / "conf/recipes"
            recipes.mkdir(parents=True)
            if text is not None:
                (recipes / "one.yaml").write_text(text, encoding="utf-8")
        (tmp_path / "here/conf/baseline.yaml").write_text(BASE, encoding="utf-8")
        for name, text in more.items():
            (tmp_path / f"here/conf/recipes/one-{name}.yaml").write_text(text, encoding="utf-8")
        told = bring_newer_recipes(*(tmp_path / name for name in ("here", "old", "new")), "v2")
        beside = tmp_path / "here/conf/recipes/one-v2.yaml"
        return told, beside.read_text(encoding="utf-8") if beside.exists() else None

    return run


def test_what_the_newer_one_would_do_is_told_key_by_key(bring, tmp_path: Path):
    told, beside = bring(OLD, OLD, NEW)
    assert beside == NEW
    assert (tmp_path / "here/conf/recipes/one.yaml").read_text(encoding="utf-8") == OLD
    [(title, changes)] = told.items()
    assert title.startswith("conf/recipes/one.yaml stays as it is; base: recipes/one-v2.yaml would")
    assert changes == [
        "folds.n 5 → 4 (conf/baseline.yaml has its own: 5)",
        "train.lr 0.1 → 0.2",
        "train.epochs 3 → (default)",
        "train.keep (default) → null",
    ]


def test_what_was_edited_here_is_compared_as_it_is(bring):
    told, _ = bring(OLD.replace("0.1", "0.7"), OLD, NEW)
    assert "train.lr 0.7 → 0.2" in next(iter(told.values()))


@pytest.mark.parametrize(
    ("here", "old", "new"),
    [
        pytest.param(OLD, OLD, OLD.replace("about: x", "about: y") + "# new\n", id="another text"),
        pytest.param(OLD.replace("0.1", "0.7"), OLD, OLD, id="edited here alone"),
        pytest.param(None, OLD, NEW, id="deleted here"),
        pytest.param(OLD, OLD, None, id="dropped there"),
        pytest.param(NEW, None, NEW, id="new"),
    ],
)
def test_nothing_comes_where_nothing_would_train_otherwise(bring, here, old, new):
    assert bring(here, old, new) == ({}, None)


def test_one_that_is_here_already_does_not_come_twice(bring):
    assert bring(OLD, OLD, NEW, other=NEW) == ({}, None)


def test_a_file_of_the_users_is_not_written_over(bring):
    assert bring(OLD, OLD, NEW, v2="seed: 7\n") == ({}, "seed: 7\n")
