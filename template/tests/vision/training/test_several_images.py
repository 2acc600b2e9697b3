"""Rows of several images, from the split to the submission: each row counts once, and is told by all of its images."""

import json
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from processes import comp_ranks
from support import KILL, for_a_release
from vision.training.test_resume import assert_same_run, saved_anew, train_until
from vision.weak_evidence import PATTERN, write_rows

from comp.distributed.accelerator import accelerator_for
from comp.runs.predictions import read_predictions
from comp.runs.rundir import RunDir
from comp.vision.batches import EvalDataset, TrainDataset, TrainingBatches
from comp.vision.data.competition import open_competition
from comp.vision.data.settle import settled
from comp.vision.inference.of_fold import model_of_fold
from comp.vision.inference.predict_rows import predict_rows
from comp.vision.model.pooling import AttentionPool
from comp.vision.pixels import Evaluation, Several, joined

DATA = {"path": PATTERN}
TRAIN = {"epochs": 12, "batch_size": 9, "lr": 3e-3}
TOGETHER = {"images_per_row": 4, "batch_size": 9}


@pytest.fixture
def counts(repo):
    """How many images each row has."""
    return write_rows(repo / "data")


@pytest.fixture
def few(repo):
    """The same of fewer rows."""
    return write_rows(repo / "data", 24, 9)


def probabilities(run: str, table: str) -> pd.DataFrame:
    return pd.read_parquet(f"runs/{run}/{table}.parquet").set_index("id").filter(like="p_")


@pytest.mark.parametrize(
    ("name", "sections"),
    [
        for_a_release("one", {"train": TRAIN}),
        ("attention", {"train": {**TRAIN, **TOGETHER}, "model": {"head": "attention_pool"}}),
    ],
)
def test_all_images_of_a_row_tell_more_than_its_first(counts, configure, comp, name, sections):
    """Weak evidence adds up; the submission has a line for each row, and is scored."""
    scores = {}
    for run, path in ((name, PATTERN), ("first", "{split}/{id}-1.png")):
        configure(name=run, **({"data": DATA, **sections} if run == name else {"data": {"path": path}, "train": TRAIN}))
        for command in ("split", "train", "submit"):
            status, out, errors = comp(command)
            assert status == 0, errors
        status, out, _ = comp("score")
        assert status == 0
        oof = json.loads(Path(f"runs/{run}/metrics.json").read_text())["scores"]["accuracy"]["oof"]
        scores[run] = (oof, float(out.split("accuracy")[1].split()[0]))
    assert min(scores[name]) > 0.72, scores
    assert min(np.subtract(scores[name], scores["first"])) > 0.1, scores
    submission = pd.read_csv(f"submissions/{name}.csv")
    assert submission["id"].tolist() == pd.read_csv("data/sample_submission.csv")["id"].tolist()


def test_an_epoch_shows_each_row_once_and_its_images_in_turn(few, configure, comp):
    config = configure(data=DATA)
    comp("split")
    samples = open_competition(config, quiet=True).samples("train", None)
    images = samples.pixels
    for row, count in enumerate(few.iloc[:24]):
        number = {image.tobytes(): place for place, image in enumerate(images.of(row))}
        shown = [[number[image.tobytes()] for image in images.drawn(row, epoch, (1, 0))] for epoch in range(2 * count)]
        assert Counter(place for own in shown for place in own) == dict.fromkeys(range(count), 2)
        assert all(len(own) == 1 for own in shown)
    for seed, other in (((1, 0), (1, 1)), ((1, 0), (2, 0))):  # another fold, another seed: another order
        assert [_first(images, row, seed) for row in range(24)] != [_first(images, row, other) for row in range(24)]
    batches = TrainingBatches(np.arange(24), 6, (1, 0))
    assert sorted(row for batch in batches for _, _, row in batch) == list(range(24))


def _first(images, row, seed):
    return images.drawn(row, 0, seed)[0].tobytes()


def test_several_images_a_row_are_different_ones_and_at_most_all(few, configure, comp):
    config = configure(data=DATA, train={"images_per_row": 4})
    comp("split")
    samples = open_competition(config, quiet=True).samples("train", None)
    for epoch in range(3):
        for row, count in enumerate(few.iloc[:24]):
            assert len({image.tobytes() for image in samples.pixels.drawn(row, epoch, (1, 0))}) == min(4, count)
    batch = TrainDataset(samples, 16, config.augment, (1, 0)).__getitems__([(0, place, place) for place in range(9)])
    assert batch.counts.tolist() == few.iloc[:9].clip(upper=4).tolist()
    assert (len(batch.images), len(batch.targets)) == (batch.counts.sum(), 9)


@pytest.mark.parametrize("head", ["linear", "attention_pool"])
@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_a_row_is_predicted_by_all_views_of_all_its_images(few, configure, comp, head, average):
    """As reckoned by hand, in batches of any size."""
    predict = {"views": ["identity", "hflip"], "average": average}
    config = configure(data=DATA, model={"head": head, "metadata": ["height"]}, train=TOGETHER, predict=predict)
    comp("split")
    comp("train")
    config = settled(config)
    opened = open_competition(config, quiet=True)
    model, _ = model_of_fold(config.model, RunDir.of(config), (0,), opened)
    samples, accelerator = opened.samples("test", model.encoder), accelerator_for(config)
    dataset, expected = EvalDataset(samples, Evaluation.of(config)), []
    model.eval()
    with torch.inference_mode():
        for row in range(len(opened.tables.test)):
            batch = dataset.__getitems__([row])
            assert len(batch.images) == len(batch.metadata) == samples.pixels.counts[row]
            views = [batch.images, batch.images.flip(3)]
            if head == "linear":
                logits = torch.cat([model(view, batch.metadata) for view in views])
            else:
                logits = torch.cat([model(view, batch.metadata, batch.counts) for view in views])
            mean = logits.mean(0).softmax(0) if average == "logits" else logits.softmax(1).mean(0)
            expected.append(mean.numpy())
    rows = np.array([5, 0, 1, 8, 3, 2, 4, 7, 6])
    for size in (1, 2, 10, 100):
        sized = config.model_copy(update={"predict": config.predict.model_copy(update={"batch_size": size})})
        said = predict_rows(model, samples, rows, sized, accelerator, predict["views"])
        np.testing.assert_allclose(said, np.array(expected)[rows], atol=1e-5)
    np.testing.assert_allclose(pd.read_parquet("runs/small/fold0/test.parquet").filter(like="p_"), expected, atol=1e-5)


def test_attention_weighs_the_images_of_each_row_alone():
    torch.manual_seed(0)
    head = AttentionPool(5, 3, hidden=4, dropout=0.0)
    features, counts = torch.randn(7, 5), torch.tensor([2, 1, 4])
    together = head(features, counts)
    for row, own in enumerate(features.split([2, 1, 4])):
        worth = head.worth(torch.tanh(head.content(own)) * torch.sigmoid(head.gate(own))).softmax(0)
        torch.testing.assert_close(together[row], head.classify((worth * own).sum(0)))
    torch.testing.assert_close(head(features), head.classify(features))
    together.sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in head.parameters())
    assert head.worth.weight.grad.abs().sum() > 0


def test_one_image_a_row_by_a_pattern_is_what_it_was(competition, configure, comp):
    """To the last bit: weights, history and predictions."""
    for run, path in (("small", "{split}/{id}.png"), ("wild", "{split}/{id}.*")):
        configure(name=run, data={"path": path}, train={"epochs": 2}, predict={"views": ["identity", "hflip"]})
        comp("split")
        assert comp("train")[0] == 0
    assert_same_run("small", "wild")


@pytest.mark.release  # with an image a row: test_several_processes.py
@pytest.mark.parametrize("model", [{"backbone": "test_vit"}, {"backbone": "test_vit", "head": "attention_pool"}])
def test_two_processes_say_what_one_says(few, configure, comp, model):
    train = {"epochs": 2, "batch_size": 8, "images_per_row": 3 if "head" in model else 1, "sampler": "weighted"}
    configure(data=DATA, model=model, train={**train, "accumulate": 2}, predict={"batch_size": 5})
    comp("split")
    finished = comp_ranks("train", "name=two")
    assert finished.returncode == 0, finished.stderr
    assert comp("train", "name=one", "train.processes=1")[0] == 0
    for table in ("oof", "test"):
        one, two = probabilities("one", table), probabilities("two", table)
        assert list(two.index) == list(one.index)
        np.testing.assert_allclose(two, one, atol=2e-4)


def test_a_training_that_is_killed_goes_on_with_the_same_images(few, configure, comp):
    train = {"epochs": 8, "batch_size": 4, "images_per_row": 2, "save_every": "1 update"}
    configure(data=DATA, model={"head": "attention_pool"}, train=train, augment={"erase": 0.2})
    comp("split")
    rng, folder = random.Random(time.time_ns()), Path("runs/small/fold0/last")
    for _ in range(2):
        status, errors = train_until(saved_anew(folder, rng.randint(2, 8)), KILL)
        assert status == -KILL, errors
    status, out, _ = comp("train")
    assert status == 0
    assert "resume  runs/small/fold" in out
    assert comp("train", "name=undisturbed", "train.save_every=3 epochs")[0] == 0
    assert_same_run("small", "undisturbed")


def test_rows_that_share_an_image_share_a_fold(few, configure, comp):
    """A leak if they did not: the last image of each row is the first one of another, smaller and re-encoded."""
    names = [f"tr{number:03d}" for number in range(24)]
    rng = np.random.default_rng(3)
    for one, other in zip(names[:12], names[12:], strict=True):
        scene = np.kron(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
        Image.fromarray(scene).save(f"data/train/{one}-1.png")
        Image.fromarray(scene).resize((80, 80)).save(f"data/train/{other}-{few[other]}.png")
    configure(data=DATA, folds={"n": 3})
    status, out, _ = comp("split")
    assert status == 0
    assert "looking for duplicates among" in out
    assert "identical: none; with nearly identical ones: 24 rows in 12 sets" in out
    folds = pd.read_csv("data/folds.csv", comment="#", dtype=str).set_index("id")["fold"]
    assert folds[names[:12]].tolist() == folds[names[12:]].tolist()
    configure(data=DATA, folds={"n": 3, "near_duplicates": None})
    assert "identical: none; with nearly identical ones: none" in comp("split", "--force")[1]


def test_unreadable_images_are_left_out_of_their_rows(few, configure, comp):
    def spoil(path):
        Path(path).write_bytes(b"no image")

    spoil("data/train/tr000-1.png")
    for number in range(1, few["tr001"] + 1):
        spoil(f"data/train/tr001-{number}.png")
    spoil("data/test/te002-1.png")
    for number in range(1, few["te003"] + 1):
        spoil(f"data/test/te003-{number}.png")
    configure(data=DATA)
    comp("split")
    status, _, errors = comp("train")
    assert status == 1
    assert "unreadable images" in errors
    config = configure(data={**DATA, "on_bad_image": "drop"})
    status, out, _ = comp("train")
    assert status == 0
    assert out.count("warning: left out, its row has others, unreadable: ") == 2
    assert out.count("warning: left out of training, unreadable: ") == 1
    assert out.count("warning: gets the training prior, unreadable: ") == 1
    assert len(pd.read_parquet("runs/small/oof.parquet")) == 23
    opened = open_competition(settled(config), quiet=True)
    assert opened.train_pixels.shown(0) == few["tr000"] - 1
    p = pd.read_parquet("runs/small/fold0/test.parquet").set_index("id").filter(like="p_")
    np.testing.assert_allclose(p.loc["te003"], opened.y[opened.rows(0)[0]].mean(axis=0), atol=1e-6)


def test_whatever_goes_by_predictions_needs_nothing_of_its_own(few, configure, comp):
    """Pseudo-labels with all images of the test rows, soups, blends and stacks, and predicting again."""
    configure(data=DATA, train={"epochs": 3}, pseudo={"threshold": 0.2, "train": {"epochs": 1, "lr": 1e-3}})
    for command in (("split",), ("train",), ("train", "name=b", "seed=7"), ("pseudo",)):
        status, out, errors = comp(*command)
        assert status == 0, errors
    assert "of 9 test rows join the training rows" in out
    for command in (
        ("soup", "name=mixed", "soup.members=[small, b]"),
        ("blend", "name=both", "blend.members=[small, b]"),
        (
            "stack",
            "name=stacked",
            "stack.members=[small, b]",
            "stack.kind=logistic",
            "stack.features=[image_statistics]",
        ),
        ("predict", "predict.views=[identity, hflip]"),
        ("submit", "name=both"),
    ):
        status, _, errors = comp(*command)
        assert status == 0, errors
    for run in ("small", "b", "mixed", "both", "stacked"):
        assert probabilities(run, "oof").index.tolist() == [f"tr{number:03d}" for number in range(24)]
        assert len(probabilities(run, "test")) == 9


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"train": {"images_per_row": 2}, "augment": {"mixup": 0.2}}, "rows cannot be mixed"),
        ({"model": {"head": "attention_pool"}}, "set train.images_per_row=4"),
        ({"data": {"path": "{split}/{id}-1.png"}, "train": {"images_per_row": 2}}, "each row has one image"),
    ],
)
def test_settings_that_do_not_go_with_the_rows_are_refused(few, configure, comp, sections, words):
    configure(**{"data": DATA, **sections})
    status, _, errors = comp("split")
    assert status == 1
    assert words in errors


def test_mixed_images_of_one_a_row_are_learned(few, configure, comp):
    configure(data=DATA, augment={"mixup": 0.2}, train={"epochs": 1})
    comp("split")
    assert comp("train")[0] == 0


def test_a_stream_shows_what_a_cache_shows(few, configure, comp):
    configure(data=DATA, train={"epochs": 2})
    comp("split")
    assert comp("train", "name=small")[0] == 0
    assert comp("train", "name=streamed", "data.cache=false")[0] == 0
    assert_same_run("small", "streamed")


def test_rows_of_two_tables_follow_each_other(few, configure, comp):
    config = configure(data=DATA)
    comp("split")
    opened = open_competition(config, quiet=True)
    both = joined(opened.train_pixels, opened.test_pixels)
    assert isinstance(both, Several)
    assert len(both) == 33
    for row in range(9):
        shown, own = both.of(24 + row), opened.test_pixels.of(row)
        assert [image.tobytes() for image in shown] == [image.tobytes() for image in own]


def test_a_run_predicts_again_whatever_the_training_says_by_now(few, configure, comp):
    configure(data=DATA, model={"head": "attention_pool"}, train=TOGETHER)
    comp("split")
    assert comp("train")[0] == 0
    before = probabilities("small", "test")
    configure(data=DATA)
    status, _, errors = comp("predict")
    assert status == 0, errors
    pd.testing.assert_frame_equal(probabilities("small", "test"), before)


def test_a_table_of_other_images_is_predicted_by_all_images_of_each_row(few, configure, comp):
    configure(data={"path": PATTERN}, train={"epochs": 1}, steps=["split", "train"])
    assert comp("run")[0] == 0
    status, _, err = comp("predict", "--images", "data/test.csv", "--out", "said.parquet")
    assert (status, err) == (0, "")
    said = pd.read_parquet("said.parquet").set_index("id")
    own, targets, _ = read_predictions(Path("runs/small/test.parquet"))
    assert np.allclose(said.loc[own["id"], targets.columns], own[targets.columns], atol=1e-6)
