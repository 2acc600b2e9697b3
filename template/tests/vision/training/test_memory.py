"""A batch that does not fit the memory is cut, and its size stays what was asked for."""

import gc
import shutil
import weakref

import pandas as pd
import pytest
import torch
from torch import nn

from comp.errors import CompError
from comp.registry import register
from comp.vision.schema import Model
from comp.vision.training.losses import cross_entropy


class Hungry(nn.Module):
    """A network whose memory ends at `most` images."""

    num_features = 8

    def __init__(self, most: int, norm: bool = True) -> None:
        super().__init__()
        self.most = most
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8) if norm else nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training and len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
        return self.layers(images)


@register("model", "hungry")
def hungry(settings: Model) -> nn.Module:
    return Hungry(**settings.args)


def test_the_fewest_pieces_that_fit_are_found_and_the_result_is_theirs(fit_fold, capsys):
    train = {"epochs": 2, "batch_size": 12}
    model = {"backbone": "hungry", "args": {"most": 5}}
    found, history = fit_fold(model=model, train={**train, "accumulate": "auto"})
    assert "a batch of 12 is cut into 3 on each of 1 processes" in capsys.readouterr().out
    told, expected = fit_fold(model=model, train={**train, "accumulate": 3})
    weights = zip(found.state_dict().values(), told.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in weights)
    assert list(history["train_loss"]) == list(expected["train_loss"])


def test_what_fits_is_not_cut(fit_fold, capsys):
    fit_fold(model={"backbone": "hungry", "args": {"most": 64}}, train={"batch_size": "auto"})
    assert "a batch of 18 is cut into 1 on each" in capsys.readouterr().out  # a fold trains on 18 rows


@pytest.mark.parametrize(("before", "after", "cut", "exact"), [(64, 4, 1, False), (4, 64, 2, True)])
def test_a_training_goes_on_where_there_is_less_memory_and_with_more_as_it_was(
    before, after, cut, exact, fit_fold, capsys
):
    @register("loss", "stopping_in_the_second_batch")
    def build(settings, class_weights):
        calls, loss = iter(range(1000)), cross_entropy(settings, class_weights)

        def stopping(logits, targets):
            if next(calls) == 1 + cut and not resumed:  # the first tries the memory
                raise KeyboardInterrupt
            return loss(logits, targets)

        return stopping

    def fitted(most, accumulate):
        train = {"epochs": 2, "batch_size": 6, "save_every": "1 update", "accumulate": accumulate}
        model = {"backbone": "hungry", "args": {"most": most, "norm": False}}
        return fit_fold(model=model, train={**train, "loss": "stopping_in_the_second_batch"})

    resumed: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        fitted(before, "auto")
    shutil.copytree("runs/fit0", "runs/fit1")
    resumed.append(True)
    model, history = fitted(after, "auto")
    fits = f"a batch of 6 is cut into {1 if after > 6 else 2} on each of 1 processes"
    assert f"{fits}\nresume  runs/fit1 after epoch 0 and {cut} batches" in capsys.readouterr().out
    undisturbed, expected = fitted(64, cut)
    tolerance = {"rtol": 0, "atol": 0} if exact else {}
    for one, other in zip(model.parameters(), undisturbed.parameters(), strict=True):
        torch.testing.assert_close(one, other, **tolerance)
    pd.testing.assert_series_equal(history["train_loss"], expected["train_loss"], rtol=1e-5)


def test_when_no_image_fits_it_says_what_to_change(fit_fold):
    with pytest.raises(CompError, match="not enough memory for a single image"):
        fit_fold(model={"backbone": "hungry", "args": {"most": 0}}, train={"accumulate": "auto"})


def test_memory_that_runs_out_is_one_line_that_names_the_setting(competition, configure, comp):
    configure(model={"backbone": "hungry", "args": {"most": 2}})
    comp("split")
    status, _, err = comp("train")
    assert status == 1
    assert err.startswith("error: the GPU is out of memory: train.accumulate=auto")
    assert len(err.splitlines()) == 1


def test_one_image_at_a_time_is_too_few_to_normalize_and_one_line_says_so(competition, configure, comp):
    configure(model={"backbone": "test_resnet"}, train={"batch_size": 2, "accumulate": 2})
    comp("split")
    status, _, err = comp("train")
    assert status == 1
    assert err.startswith("error: batch normalization needs two images at a time")
    assert len(err.splitlines()) == 1


def test_a_training_gives_back_the_one_before_though_libraries_are_left_out_of_collections(fit_fold):
    network, _ = fit_fold()
    network.cycle = [network]  # counting references alone would keep it for ever
    before = weakref.ref(network)
    del network
    gc.disable()
    try:
        fit_fold()
        assert before() is None
    finally:
        gc.enable()
    assert gc.get_freeze_count() > 100_000
