"""The page of an alignment: ranks, worst captions, hubs and members, against rankings made otherwise."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from align.small import arrays, configured, write
from PIL import Image

from comp.align.data.fold import unit_images
from comp.align.data.pairs import EMBEDDING, open_competition
from comp.align.report import queries as of_queries
from comp.align.report.members import members_table
from comp.align.report.queries import queries_of
from comp.align.report.ranks import hubs_section, of_folds, worst_section
from comp.align.report.report import report
from comp.runs.predictions import read_oof, values_of
from comp.runs.rundir import RunDir


@pytest.fixture
def trained(repo, comp):
    """A run of the small competition: its configuration, the competition, its out-of-fold rows."""
    write(repo / "data", *arrays())
    config = configured(train={"epochs": 6})
    assert comp("split")[0] == comp("train")[0] == 0
    return config, open_competition(config, quiet=True), read_oof(RunDir.of(config).oof)[0]


def ranks_by_hand(competition, oof) -> np.ndarray:
    """The place of each caption's own image among those of its fold, in the order of `oof`."""
    pairs, images = competition.pairs, unit_images(competition).astype(np.float64)
    name_of = {name: row for row, name in enumerate(pairs.names)}
    own, vectors = oof["target"].map(name_of).to_numpy(), values_of(oof, EMBEDDING).astype(np.float64)
    ranks = np.zeros(len(oof), dtype=int)
    for k in set(oof["fold"]):
        rows = np.flatnonzero(oof["fold"] == k)
        gallery = np.unique(own[rows])
        similar = vectors[rows] @ images[gallery].T
        right = similar[np.arange(len(rows)), np.searchsorted(gallery, own[rows])]
        ranks[rows] = 1 + (similar > right[:, None]).sum(axis=1)
    return ranks


def test_ranks_recalls_and_means_are_those_of_a_plain_ranking(trained):
    config, competition, oof = trained
    found, ranks = queries_of(competition, oof), ranks_by_hand(competition, oof)
    ids = competition.pairs.tables.train["id"].to_numpy()
    by_id = dict(zip(oof["id"], ranks, strict=True))
    assert found.rank.tolist() == [by_id[name] for name in ids[found.rows]]
    scores = json.loads(RunDir.of(config).metrics.read_text())["scores"]
    for name in ("mrr", "r@1", "r@5", "cosine"):
        assert found.values(name).mean() == pytest.approx(scores[name]["oof"], abs=1e-5)
        low, high = np.quantile(found.drawn(name), (0.025, 0.975))
        assert low < scores[name]["oof"] < high
    assert found.values("skewness") is None
    for k in (1, 3, 20):
        assert found.within(k).mean() == pytest.approx((ranks <= k).mean())
    assert [each.number for each in of_folds(found, "mrr", scores["mrr"]["folds"])] == [0, 1, 2]


def test_some_captions_stand_for_many(trained, monkeypatch):
    _, competition, oof = trained
    every = queries_of(competition, oof)
    monkeypatch.setattr(of_queries, "MOST", 100)
    some = queries_of(competition, oof)
    assert (len(every.rows), some.scored) == (300, 300)
    assert 100 <= len(some.rows) < 105
    assert set(some.rows) < set(every.rows)
    assert some.galleries == every.galleries


def test_the_worst_caption_comes_first_with_its_text_and_what_was_found(trained, repo):
    _, competition, oof = trained
    ranks, found = ranks_by_hand(competition, oof), queries_of(competition, oof)
    [table] = worst_section(found, competition.pairs, None).blocks
    worst = oof[ranks == ranks.max()]
    row_of = {name: row for row, name in enumerate(competition.pairs.tables.train["id"])}
    captions = {
        competition.pairs.captions[row_of[name]]: own for name, own in zip(worst["id"], worst["target"], strict=True)
    }
    caption, own, rank, *_ = table.rows[0]
    assert (captions[caption], str(ranks.max())) == (own, rank)
    folder = repo / "pictures"
    folder.mkdir()
    for name in competition.pairs.names[1:]:
        Image.new("RGBA", (300, 200), (200, 40, 40, 128)).save(folder / name.replace(".jpg", ".png"))
        (folder / name.replace(".jpg", ".png")).rename(folder / name)
    gallery = worst_section(found, competition.pairs, folder).blocks[0]
    assert all(picture.startswith(b"\xff\xd8") for card in gallery.cards for picture in card.pictures)
    assert max(len(card.pictures) for card in gallery.cards) == 4
    shutil.rmtree(folder)
    assert worst_section(found, competition.pairs, folder).blocks[0].cards[0].pictures == []


def test_a_hub_is_counted_in_every_list_that_it_stands_in(trained):
    _, competition, oof = trained
    hub = unit_images(competition)[0]
    all_there = oof.assign(embedding=[hub] * len(oof))
    section = hubs_section(queries_of(competition, all_there), competition.pairs)
    own_fold = oof["fold"][oof["target"] == competition.pairs.names[0]].iloc[0]
    assert section.blocks[1].rows[0][:2] == ["000.jpg", str((oof["fold"] == own_fold).sum())]


def test_what_a_member_brings_is_what_the_mean_loses_without_it(trained, comp):
    _, competition, oof = trained
    assert comp("train", "name=other", "seed=2", "train.epochs=2")[0] == 0
    [table] = members_table(["small", "other", "1.0 × ridge"], competition, oof, "mrr")
    alone = {row[0]: row[1] for row in table.rows}
    for name in ("small", "other"):
        mrr = json.loads(Path(f"runs/{name}/metrics.json").read_text())["scores"]["mrr"]["oof"]
        assert alone[name] == f"{mrr:.4f}"
    assert table.rows[0][2] == alone["other"]
    assert "ridge" in table.note
    Path("runs/other").rename("mate")
    [table] = members_table(["small", "./mate"], competition, oof, "mrr")
    assert table.rows[1][:2] == ["./mate", alone["other"]]


def test_the_page_is_whole_and_stands_without_the_data_too(trained, repo):
    config, *_ = trained
    page = report(config).read_text(encoding="utf-8")
    assert "mrr 0." in page and "(95 %: " in page
    for title in ("Scores", "Training", "Ranks", "Worst captions", "Hubs", "Folds", "Timings", "Configuration"):
        assert f"<h2>{title}</h2>" in page
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    shutil.rmtree(repo / "data")
    page = report(config).read_text(encoding="utf-8")
    assert "without ranks, worst captions and hubs: data.root=data is not a folder" in page
    assert "<h2>Ranks</h2>" not in page
