"""Training: what is learned from, what is told apart, and the same weights however it is run or interrupted."""

import itertools
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate import Accelerator
from align.small import IMAGES, arrays, configured, write
from processes import Comp, comp_ranks
from safetensors.torch import load_file
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from comp.align.baselines.closed_form import Captions, fit_ridge
from comp.align.data.fold import open_fold
from comp.align.data.pairs import open_competition, split
from comp.align.ranking.metrics import scores
from comp.align.schema import Augment, Loss, Model
from comp.align.training.fit import Averaged, batches_of, fit
from comp.align.training.losses import Keys, alignment_loss
from comp.align.training.noise import another_caption, noisy
from comp.align.training.projector import Projector, build_model
from comp.loop.tensors import read_tensors
from comp.runs.rundir import RunDir

MODERN = {
    "model": {"linear": True, "start": "ridge", "hidden": [24], "activation": "gelu", "dropout": 0.2, "basis": 8},
    "loss": {"kind": "infonce", "negatives": "all", "positives": "group", "learn_temperature": True},
    "augment": {"noise": 0.1, "drop": 0.1, "mix": 0.3},
    "train": {"ema_decay": 0.9, "keep": "ema", "clip_norm": 1.0, "warmup_epochs": 1},
}


@pytest.fixture
def data(repo):
    return write(repo / "data", *arrays())


@pytest.fixture
def fitted(data):
    """`fitted(loss={…})` trains fold 0: the model, the fold and its history."""
    numbers = itertools.count()

    def call(**sections):
        config = configured(**sections)
        split(config)
        fold = open_fold(open_competition(config, quiet=True), 0, torch.device("cpu"))
        folder = Path(f"fit{next(numbers)}")
        model = fit(config, fold, folder, Accelerator(cpu=True))
        return model, fold, pd.read_csv(folder / "history.csv")

    return call


@pytest.mark.parametrize("sections", [{}, {"loss": {"kind": "cosine"}}, {"loss": {"kind": "symmetric"}}, MODERN])
def test_every_loss_learns_to_rank(fitted, sections):
    train = {**sections.get("train", {}), "epochs": 30, "save_every": "99 epochs"}
    _, _, history = fitted(**{**sections, "train": train})
    assert history["mrr"].iloc[-1] > 0.5  # of 20 images; by chance 0.18


def test_images_of_the_validated_captions_are_no_negatives(fitted):
    """They are in no training caption: to push predictions away from them would be to learn from the test."""
    _, fold, _ = fitted(loss={"negatives": "all"}, train={"epochs": 1})
    assert not set(fold.trained_images.tolist()) & set(fold.gallery.tolist())
    assert len(fold.trained_images) + len(fold.gallery) == IMAGES
    predicted = functional.normalize(torch.randn(4, fold.images.shape[1]))
    image_of = fold.trained_images[:4]
    settings = Loss(kind="infonce", negatives="all")
    before = alignment_loss(predicted, image_of, Keys.of(fold.images, fold, settings), fold, 10.0, settings)
    fold.images[torch.from_numpy(fold.gallery)] = functional.normalize(predicted[:1])
    assert alignment_loss(predicted, image_of, Keys.of(fold.images, fold, settings), fold, 10.0, settings) == before


@pytest.mark.parametrize(("kind", "negatives", "copies"), [("infonce", "all", True), ("symmetric", "batch", False)])
def test_a_step_copies_no_more_keys_than_its_own(kind, negatives, copies, fitted):
    """The keys of all training images are selected once a fold: in each step that would be a copy of them."""
    _, fold, _ = fitted(train={"epochs": 1})
    settings = Loss(kind=kind, negatives=negatives)
    keys = Keys.of(fold.images, fold, settings)
    assert len(keys.trained) == (len(fold.trained_images) if copies else 0)
    image_of = fold.trained_images[:4]
    with Selected() as selected:
        alignment_loss(fold.images[image_of], image_of, keys, fold, 10.0, settings)
    assert max(selected.rows) == 4


class Selected(TorchDispatchMode):
    """Notes how many rows of a matrix each selection copies."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.index.Tensor and result.ndim == 2:
            self.rows.append(len(result))
        return result


def test_several_captions_of_one_image_are_all_right(fitted):
    """With the prediction exactly on its image, a batch of one image's captions has nothing to be told apart."""
    _, fold, _ = fitted(train={"epochs": 1})
    image = fold.trained_images[0].repeat(4)
    predicted = fold.images[image]
    for kind in ("infonce", "symmetric"):
        settings = Loss(kind=kind)
        keys = Keys.of(fold.images, fold, settings)
        loss = alignment_loss(predicted, image, keys, fold, 20.0, settings)
        assert loss == pytest.approx(np.log(4), abs=1e-4)  # the entropy of equal shares: no order among them
        twice = torch.cat([image[:2], fold.trained_images[1:3]])
        alone = alignment_loss(fold.images[twice], twice, keys, fold, 1e3, settings)
        assert alone == pytest.approx(np.log(2) / 2, abs=1e-3)  # half of them share with one other


def test_a_model_starts_as_ridge_without_its_mean(data):
    config = configured()
    split(config)
    fold = open_fold(open_competition(config, quiet=True), 0, torch.device("cpu"))
    captions = Captions(*(each.numpy() for each in (fold.texts, fold.images, fold.image_of, fold.group_of)))
    for basis in (None, 16):
        settings = Model(linear=True, start="ridge", hidden=[8], basis=basis)
        model = build_model(settings, Loss(), captions).eval()
        ridge = fit_ridge(captions).model.predict(captions.texts)
        wanted = torch.from_numpy(ridge - captions.images[captions.image_of].mean(axis=0))
        with torch.inference_mode():
            coordinates = model(fold.texts)
            assert torch.allclose(model.directions(coordinates), wanted, atol=1e-4)
            cosines = functional.normalize(wanted) @ fold.images.T
            assert torch.allclose(model.as_unit(coordinates) @ model.keys(fold.images).T, cosines, atol=1e-4)


def test_noise_is_that_of_the_whole_batch(fitted):
    _, fold, _ = fitted(train={"epochs": 1})
    rows = torch.arange(8)
    settings = Augment(noise=0.5, drop=0.2, mix=0.5)
    assert torch.equal(noisy(fold, rows, settings, 3), noisy(fold, rows, settings, 3))
    assert not torch.equal(noisy(fold, rows, settings, 3), noisy(fold, rows, settings, 4))
    assert torch.equal(noisy(fold, rows, Augment(), 3), fold.texts[rows])
    assert torch.equal(fold.image_of[another_caption(fold, rows)], fold.image_of[rows])


def test_early_stopping_goes_by_the_ranking(fitted):
    _, _, history = fitted(train={"epochs": 60, "early_stop": {"patience": 2}, "keep": "best"})
    assert configured(train={"early_stop": {"patience": 2}}).train.early_stop.watch == "metric"
    assert len(history) < 60
    assert history["mrr"].iloc[-3] == history["mrr"].max()


def test_the_best_epochs_weights_are_kept_and_the_score_says_that_it_flatters(data, comp):
    configured(train={"epochs": 6, "keep": "best"})
    assert comp("split")[0] == 0
    status, out, _ = comp("train")
    assert status == 0
    assert "so it flatters" in out
    assert '"flatters": "keep=best chose by the rows that are scored"' in Path("runs/small/metrics.json").read_text(
        encoding="utf-8"
    )
    history = pd.read_csv("runs/small/fold0/history.csv")
    oof = pd.read_parquet("runs/small/fold0/oof.parquet")
    competition = open_competition(configured(), quiet=True)
    image_of = competition.pairs.image_of[competition.rows(0)[1]]
    found = np.stack(oof["embedding"].to_list())
    kept = scores(["mrr"], found, np.asarray(competition.pairs.images), image_of, np.unique(image_of))["mrr"]
    assert kept == pytest.approx(history["mrr"].max(), abs=1e-6)


def test_checkpoints_are_left_every_so_many_epochs(data, comp):
    configured(train={"epochs": 5, "checkpoint_epochs": 2})
    assert comp("split")[0] == comp("train", "folds=[0]")[0] == 0
    assert sorted(path.name for path in Path("runs/small/fold0").glob("epoch*")) == [
        "epoch2.safetensors",
        "epoch4.safetensors",
    ]


def weights(name, fold=0):
    return load_file(RunDir.of_name(name).fold(fold) / "best.safetensors")


@pytest.mark.parametrize("negatives", ["batch", "all"])
def test_two_processes_train_the_weights_of_one(data, comp, negatives):
    """With the batch's negatives, predictions are gathered, and gradients find their way back."""
    loss = {"kind": "symmetric" if negatives == "batch" else "infonce", "negatives": negatives}
    augment = {"noise": 0.2, "drop": 0.1, "mix": 0.3}
    configured(loss={**loss, "learn_temperature": True}, augment=augment, train={"epochs": 2}, baselines=[])
    assert comp("split")[0] == comp("train", "name=one", "folds=[0]")[0] == 0
    done = comp_ranks("train", "name=two", "folds=[0]")
    assert (done.returncode, re.findall(r"\w+Warning: ", done.stderr)) == (0, []), done.stderr
    one, two = weights("one"), weights("two")
    assert one.keys() == two.keys()
    for key in one:
        assert torch.allclose(one[key], two[key], rtol=1e-4, atol=1e-6), key
    both = [pd.read_csv(f"runs/{name}/fold0/history.csv") for name in ("one", "two")]
    assert both[0]["train_loss"].to_numpy() == pytest.approx(both[1]["train_loss"].to_numpy(), rel=1e-4)


def test_killed_and_resumed_is_never_killed(data, repo, comp):
    configured(**{**MODERN, "train": {**MODERN["train"], "epochs": 40, "save_every": "3 updates"}, "baselines": []})
    assert comp("split")[0] == comp("train", "name=whole", "folds=[0]")[0] == 0
    state = repo / "runs/cut/fold0/last/state.pt"
    process = Comp("train", "name=cut", "folds=[0]")
    while not state.is_file():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (repo / "runs/cut/fold0/metrics.json").exists()
    status, out, _ = comp("train", "name=cut", "folds=[0]")
    assert status == 0
    assert "resume  runs/cut/fold0 after epoch" in out
    whole, cut = weights("whole"), weights("cut")
    assert all(torch.equal(whole[key], cut[key]) for key in whole)


def test_a_training_cut_after_the_last_batch_of_an_epoch_goes_on_to_equal_bits(data, monkeypatch):
    """Saved within the epoch, but with none of its batches left: validation is what is next."""
    config = configured(**MODERN)
    split(config)
    fold = open_fold(open_competition(config, quiet=True), 0, torch.device("cpu"))
    updates = batches_of(len(fold.texts), config.train.batch_size, 1)[1]
    config = configured(**{**MODERN, "train": {**MODERN["train"], "save_every": f"{updates} updates"}})
    whole = fit(config, fold, Path("whole"), Accelerator(cpu=True))

    def cut_short(*_):
        raise RuntimeError("interrupted")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="interrupted"):
        patched.setattr("comp.align.training.fit._validate", cut_short)
        fit(config, fold, Path("cut"), Accelerator(cpu=True))
    assert read_tensors(Path("cut/last/state.pt"))["progress"]["batch"] == updates
    cut = fit(config, fold, Path("cut"), Accelerator(cpu=True))
    assert all(torch.equal(weight, cut.state_dict()[name]) for name, weight in whole.state_dict().items())
    columns = ["epoch", "lr", "train_loss", "val_loss", "mrr"]
    history, resumed = (pd.read_csv(f"{name}/history.csv")[columns] for name in ("whole", "cut"))
    assert history.equals(resumed)


def test_weights_are_averaged_with_a_decay_that_warms_up():
    model = Projector(Model(hidden=[4]), Loss(), 3, 5)
    average = Averaged(model, 0.9)
    expected = None
    for count in range(1, 100):
        with torch.no_grad():
            model.branch[0].weight.normal_()
        average.update(model, count)
        now = min(0.9, count / (count + 9))
        weight = model.branch[0].weight.detach().clone()
        expected = weight if expected is None else now * expected + (1 - now) * weight
        assert torch.allclose(average.module.branch[0].weight, expected, atol=1e-5)


def test_averaging_reads_nothing_from_the_device():
    """To read a number from a GPU is to wait for it; a meta tensor has none to read."""
    with torch.device("meta"):
        model = Projector(Model(hidden=[4]), Loss(), 3, 5)
    Averaged(model, 0.9).update(model, 2)


def test_a_learned_temperature_stops_at_its_bound_and_can_come_back():
    model = Projector(Model(hidden=[4]), Loss(kind="infonce", learn_temperature=True), 3, 5)
    torch.nn.init.constant_(model.log_scale, 6.0)
    model.limit_scale()
    assert model.scale.item() == pytest.approx(100)
    model.scale.backward()
    assert model.log_scale.grad > 0


def test_training_keeps_a_learned_temperature_at_its_bound(fitted, monkeypatch):
    monkeypatch.setattr("comp.align.training.projector.LEAST_TEMPERATURE", 0.1)
    start = {"linear": True, "start": "ridge", "hidden": []}  # ranks well at once, and wants to be ever surer
    loss = {"negatives": "all", "temperature": 0.1, "learn_temperature": True}
    model, _, _ = fitted(model=start, loss=loss, train={"epochs": 10})
    assert model.scale.item() == pytest.approx(10)


def test_a_loss_that_is_no_number_stops_with_what_to_change(data, comp):
    configured(train={"lr": 1e30, "epochs": 2})
    assert comp("split")[0] == 0
    status, _, err = comp("train", "folds=[0]")
    assert (status, err.count("\n")) == (1, 1)
    assert "Set train.lr lower" in err


def test_a_contrastive_batch_is_not_cut(data, comp):
    configured()
    assert "train.accumulate" in comp("split", "train.accumulate=2")[2]
