"""Every kind of competition: understood, or refused by what leads on; then submitted, and scored by the host's rule."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vision.layouts.layout import CODES, Layout, code_of, write
from vision.layouts.run import refusal, told
from vision.layouts.table import LAYOUTS

from comp.folds import load_split
from comp.runs.predictions import oof_table, with_values, write_predictions
from comp.runs.rundir import RunDir
from comp.tables import Tables
from comp.vision.data.paths import PATHS
from comp.vision.submission.submit import submit

LEADS_ON = re.compile(
    r"set data\.\w+|data\.path|set submit\.\w+|set metric|under `\w+:`|comp \w+|put the", re.IGNORECASE
)
NAMES = [layout.name for layout in LAYOUTS]


def test_there_are_forty_kinds_and_each_has_a_name_of_its_own():
    assert len(LAYOUTS) >= 40
    assert len(set(NAMES)) == len(NAMES)
    assert all(layout.asks or layout.rule for layout in LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
def test_a_layout_is_understood_and_scored_or_refused_by_what_leads_on(layout, repo, comp):
    write(layout.files, repo / "data")
    if layout.asks:
        line = refusal(layout.settings)
        assert [piece for piece in layout.asks if piece not in line] == [], line or "it was not refused"
        assert "\n" not in line
        assert LEADS_ON.search(line), line
        assert not Path("submissions").exists()
    if layout.rule is None:
        return
    if layout.then:
        assert comp(layout.then)[0] == 0
    config, tables, lines = told(layout.answered)
    assert [piece for piece in layout.says if piece not in "\n".join(lines)] == [], "\n".join(lines)
    assert_images_are_those_of_their_rows(layout, tables)
    write_run(layout, config, tables, comp)
    path = submit(config)
    given = pd.read_csv(path, dtype=str, keep_default_na=False)
    truth = layout.drawn.test
    assert sorted(given.iloc[:, 0]) == sorted(truth.index)
    if tables.sample is not None:
        assert list(given.iloc[:, 0]) == list(tables.sample.iloc[:, 0])
        assert list(given.columns) == list(tables.sample.columns)
    given = given.set_index(given.columns[0]).loc[truth.index]
    assert layout.rule(given, truth) == pytest.approx(layout.deserves, abs=1e-4)


def test_a_solution_in_the_folder_that_is_followed_is_found(repo, comp):
    layout = next(layout for layout in LAYOUTS if layout.name == "One folder too deep")
    write(layout.files, repo / "data")
    layout.drawn.test.rename_axis("id").to_csv(repo / "data/pets-2024/solution.csv")
    config, tables, _ = told(layout.settings)
    write_run(layout, config, tables, comp)
    assert comp("submit")[0] == 0
    assert "score   accuracy 1.0000 on 12 test rows" in comp("score")[1]


def assert_images_are_those_of_their_rows(layout: Layout, tables: Tables) -> None:
    """The corner of each picture says which row it is of."""
    drawn, counts = layout.drawn, set()
    codes = [row % CODES for row in range(len(drawn.ids))]
    for table, own in ((tables.train, slice(None, drawn.n_train)), (tables.test, slice(drawn.n_train, None))):
        rows = dict(zip(drawn.ids[own], codes[own], strict=True))
        assert sorted(table["id"]) == sorted(rows)
        for _, row in table.iterrows():
            paths = row.get(PATHS, (row["path"],))
            counts.add(len(paths))
            assert {code_of(path) for path in paths} == {rows[row["id"]]}, row["id"]
    assert max(counts) == layout.images


def write_run(layout: Layout, config, tables: Tables, comp) -> None:
    """The planted predictions, found by id and by the names of classes, in an order that is not the files'."""
    run, targets, digest, drawn = RunDir.of(config), tables.targets, "none", layout.drawn
    planted = drawn.planted[list(targets.classes)]
    if layout.split:
        status, out, err = comp("split")
        assert (status, err) == (0, "")
        assert [piece for piece in layout.says if piece not in out] == []
        split, rows = load_split(config, tables), np.arange(len(tables.train))
        digest = split.digest
        p = planted.iloc[: drawn.n_train].loc[tables.train["id"]].to_numpy()
        table = oof_table(tables.train, rows, split.fold, p, targets)
        write_predictions(run.oof, table, targets, digest)
    p = planted.iloc[drawn.n_train :].loc[tables.test["id"]].to_numpy()
    table = with_values(tables.test[["id"]], p, targets)
    write_predictions(run.test, table.sample(frac=1, random_state=0), targets, digest)
