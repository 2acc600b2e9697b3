"""comp compare and comp board of captions: each ranked among the images of its fold."""

import re
from pathlib import Path

import numpy as np
import pytest
from align.small import arrays, configured, write

from comp.align.data.pairs import EMBEDDING, open_competition, split
from comp.align.ranking.retrieval import unit
from comp.align.report.compare import board, compare
from comp.align.training.train import collect
from comp.files import write_json
from comp.runs.predictions import oof_table, test_table, write_predictions
from comp.runs.rundir import RunDir

test_table.__test__ = False


@pytest.fixture
def make(repo):
    """`make("a", noise=1.0)` is a finished run whose predictions are the truth with so much noise."""
    write(repo / "data", *arrays())

    def call(name: str, noise: float, seed: int) -> None:
        config, random = configured(name=name), np.random.default_rng(seed)
        if not Path("data/folds.csv").exists():
            split(config)
        competition = open_competition(config, quiet=True)
        pairs, run = competition.pairs, RunDir.of(config)
        run.start(config)
        run.bind_to_folds(competition.split.digest)
        images = unit(pairs.images)
        for k in range(competition.split.n):
            rows = competition.rows(k)[1]
            found = unit(images[pairs.image_of[rows]] + random.normal(0, noise, (len(rows), images.shape[1])))
            table = oof_table(pairs.tables.train, rows, np.full(len(rows), k), found, EMBEDDING)
            write_predictions(run.fold(k) / "oof.parquet", table, EMBEDDING, competition.split.digest)
            test = test_table(pairs.tables.test, images[: len(pairs.test_texts)], EMBEDDING)
            write_predictions(run.fold(k) / "test.parquet", test, EMBEDDING, competition.split.digest)
            write_json(run.fold(k) / "metrics.json", {"rows": len(rows), "seconds": 1.0})
        collect(config, competition, run)

    return call


def test_twins_are_noise_and_a_better_run_is_real(make, capsys):
    make("base", 0.45, 1)
    make("twin", 0.45, 2)
    make("better", 0.25, 3)
    compare(["base", "twin", "better"])
    out = capsys.readouterr().out
    assert "noise: no difference of base and twin is shown; real: better is better by 0." in out
    assert re.search(r"\n        mrr +base", out)
    page = Path("runs/compare-base-twin-better.html").read_text(encoding="utf-8")
    assert "Rows that only one has right" in page
    assert "Rows that differ most, by reciprocal rank" in page
    board([])
    out = capsys.readouterr().out
    assert re.search(r"\nbetter .* best  +\+0\.\d{4} real \(twin\)", out)
    assert re.search(r"\ntwin .* noise.* \(base\)", out)
