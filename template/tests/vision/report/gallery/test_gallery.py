"""The galleries of a run: from its files alone to pictures with heat, and what is said where something is missing."""

import io
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from vision.made_runs import make_run

from comp.config import load_config
from comp.runs.page import Gallery, Page, Section
from comp.runs.predictions import read_oof
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.folds.split import split
from comp.vision.report.gallery import gallery_sections
from comp.vision.report.gallery.cases import MOST
from comp.vision.report.grades import is_graded


def sections_of(config, run: RunDir) -> list[Section]:
    oof, targets, _ = read_oof(run.oof)
    return gallery_sections(config, run, oof, targets)


def galleries(sections: list[Section]) -> dict[str, Gallery]:
    return {block.title or each.title: block for each in sections for block in each.blocks}


def small_run() -> tuple[object, RunDir]:
    config = load_config(Path("conf/baseline.yaml"))
    return config, RunDir.of(config)


@pytest.fixture
def made(competition, configure) -> tuple[object, RunDir]:
    """A run of predictions with some truth in them, and no models."""
    config = configure()
    split(config)
    return config, make_run(config, "small", skill=0.4)


def test_each_card_has_the_image_and_its_heat(trained):
    sections = sections_of(*small_run())
    cards = galleries(sections)["Least sure"].cards
    assert len(cards) == MOST
    for card in cards:
        image, heat = (Image.open(io.BytesIO(picture)) for picture in card.pictures)
        assert image.format == heat.format == "JPEG"
        assert (image.size, heat.size) == ((20, 18), (160, 144))
    assert "that never trained on it" in sections[0].note


def test_the_same_run_gives_the_same_pictures(trained):
    one, other = (galleries(sections_of(*small_run())) for _ in range(2))
    assert one == other


def test_a_heat_is_of_the_model_that_left_the_row_out(trained):
    """With the models of two folds exchanged there is no heat, and the reason is told."""
    folder = Path("runs/small")
    (folder / "fold0/best.safetensors").rename("kept")
    (folder / "fold1/best.safetensors").rename(folder / "fold0/best.safetensors")
    Path("kept").rename(folder / "fold1/best.safetensors")
    sections = sections_of(*small_run())
    assert "Without heat: runs/small/fold0/best.safetensors is the model of fold 1" in sections[0].note
    assert {len(card.pictures) for card in galleries(sections)["Least sure"].cards} == {1}


def test_without_models_there_are_thumbnails(trained):
    for path in Path("runs/small").glob("fold*/best.safetensors"):
        path.unlink()
    sections = sections_of(*small_run())
    assert sections[0].note == "Without heat: the models of its folds are not here"
    assert {len(card.pictures) for card in galleries(sections)["Least sure"].cards} == {1}


def test_without_data_there_are_lines(made):
    shutil.rmtree("data")
    sections = sections_of(*made)
    assert sections[0].note.startswith("Without pictures: data.root=data is not a folder")
    assert {len(card.pictures) for card in galleries(sections)["Worst mistakes"].cards} == {0}


def test_an_image_that_cannot_be_read_is_told(made):
    config, run = made
    first = galleries(sections_of(config, run))["Worst mistakes"].cards[0].lines[0].partition(" ")[0]
    Path(f"data/train/{first}.png").write_bytes(b"no image")
    sections = sections_of(config, run)
    assert f"no image of theirs can be read: '{first}'" in sections[0].note
    assert len(galleries(sections)["Worst mistakes"].cards[0].pictures) == 0


def test_suspects_stand_in_a_file(made):
    table = pd.read_csv("data/train.csv", dtype=str).set_index("id")
    sections = sections_of(*made)
    written = pd.read_csv("runs/small/suspects.csv", dtype={"id": str})
    assert len(written) > 0
    assert (table.loc[written["id"], "label"].to_numpy() == written["label"]).all()
    assert len(galleries(sections)["Suspected wrong labels"].cards) == min(MOST, len(written))


def test_a_page_of_photographs_is_small(made):
    """Noise is the worst that a JPEG can be made of: large images, and all galleries full."""
    config, run = made
    rng = np.random.default_rng(0)
    for path in Path("data/train").glob("*.png"):
        Image.fromarray(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)).save(path)
    sections = sections_of(config, run)
    page = Page("small", "", sections=sections).write(Path("page.html"))
    assert len(re.findall("<figure>", page.read_text(encoding="utf-8"))) > 2 * MOST
    assert page.stat().st_size < 2e6


@pytest.mark.parametrize(
    ("classes", "settings", "graded"),
    [
        (("0", "1", "2"), {}, False),
        (("0", "1", "2"), {"metric": "quadratic_kappa"}, True),
        (("0", "1", "2"), {"train": {"loss": "corn"}}, True),
        (("cat", "dog", "owl"), {}, False),
    ],
)
def test_grades_are_known_by_what_they_are_learned_for(classes, settings, graded, competition, configure):
    config = configure(**settings)
    run = RunDir.of(config)
    run.start(config)
    assert is_graded(run, Targets("multiclass", classes)) == graded
    assert is_graded(run, Targets("multiclass", classes, ordered=True))
