"""Every switch of `train:` and `augment:` does what it says."""

import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from comp.distributed.accelerator import accelerator_for, resolve_precision
from comp.errors import CompError
from comp.registry import register
from comp.vision.model import build_model, load_checkpoint
from comp.vision.schema import Model, Train
from comp.vision.training.losses import adjusted, cross_entropy
from comp.vision.training.optimizer import build_optimizer, learning_rate, set_learning_rate

VIT = {"backbone": "test_vit"}  # no batch norm, no dropout
PLAIN = {"epochs": 1, "batch_size": 16, "lr": 0.01, "optimizer": "momentum", "weight_decay": 0, "schedule": "constant"}
WHOLE = {**PLAIN, "batch_size": 18}  # one update an epoch: a fold trains on 18 rows


@register("model", "small_cnn")
def small_cnn(settings: Model) -> nn.Module:
    layers = [nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers)


def flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([tensor.detach().float().flatten() for tensor in model.state_dict().values()])


def same(one: nn.Module, other: nn.Module, tolerance: float = 0.0) -> bool:
    return torch.allclose(flat(one), flat(other), rtol=0, atol=tolerance)


@pytest.fixture
def seen_targets():
    """The targets of every batch of a training with `loss=seen_targets`, and the class weights that it was given."""
    seen: dict[str, list] = {"targets": [], "weights": []}

    @register("loss", "seen_targets")
    def build(settings, class_weights):
        seen["weights"].append(class_weights)

        def loss(logits, targets):
            seen["targets"].append(targets.detach().clone())
            return cross_entropy(settings, class_weights)(logits, targets)

        return loss

    return seen


@pytest.fixture
def seen_inputs():
    """What reaches a training with `backbone=seen_inputs`: a copy of the facts of each call."""
    seen: list[dict] = []

    class Probe(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)

        def forward(self, images):
            features = self.conv(images)
            if self.training:
                channels_last = images.is_contiguous(memory_format=torch.channels_last)
                seen.append({"channels_last": channels_last, "dtype": features.dtype, "images": images.detach()})
            return features.mean(dim=(2, 3))

    register("model", "seen_inputs")(lambda settings: Probe())
    return seen


def unbalance(competition) -> None:
    """27 red rows, 6 green and 3 blue ones."""
    table = pd.read_csv(competition / "train.csv", dtype=str)
    table["label"] = ["red"] * 27 + ["green"] * 6 + ["blue"] * 3
    table.to_csv(competition / "train.csv", index=False)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(fit_fold):
    one, again, other = (fit_fold(seed=seed)[0] for seed in (1, 1, 2))
    assert same(one, again)
    assert not same(one, other, 1e-4)


def test_every_weight_learns_those_of_the_metadata_too(fit_fold):
    """From row to row the pictures differ in width, so that the metadata say something."""
    for number, path in enumerate(sorted(Path("data/train").iterdir())):
        with Image.open(path) as picture:
            picture.resize((20 + number % 5, 18)).save(path)
    settings = {"model": {"backbone": "small_cnn", "metadata": ["width", "has_alpha"]}, "seed": 1}
    before, _ = fit_fold(**settings, train={**PLAIN, "lr": 1e-30})
    after, _ = fit_fold(**settings, train={**PLAIN, "epochs": 5, "batch_size": 6})
    pairs = zip(before.named_parameters(), after.parameters(), strict=True)
    assert [name for (name, old), new in pairs if torch.equal(old, new)] == []


def test_metadata_that_no_batch_would_show_are_refused(competition, configure, comp):
    configure(model={"metadata": ["width"]}, augment={"cutmix": 1.0})
    comp("split")
    status, _, err = comp("train")
    assert status == 1
    assert err.startswith("error: model.metadata: mixed images have none, and every batch is mixed")
    assert comp("train", "augment.mix_prob=0.5")[0] == 0


def test_what_a_model_keeps_frozen_stays_frozen_and_counts_in_no_norm(fit_fold):
    """After frozen epochs too; gradients that nobody clears would grow in the norm that is clipped."""

    def frozen_below(settings: Model) -> nn.Module:
        model = small_cnn(settings)
        model[0].requires_grad_(False)
        return model

    class Detached(nn.Sequential):
        def forward(self, images):
            return nn.Sequential(*self)[1:](self[0](images).detach())

    register("model", "frozen_below")(frozen_below)
    register("model", "detached")(lambda settings: Detached(*frozen_below(settings)))
    train = {**PLAIN, "epochs": 3, "freeze_epochs": 1, "clip_norm": 0.1}
    frozen, detached = (fit_fold(model={"backbone": name}, train=train)[0] for name in ("frozen_below", "detached"))
    assert same(frozen, detached)


def test_ema_is_the_running_average_of_the_weights_with_warm_up(fit_fold):
    first, second, third = (fit_fold(model=VIT, train={**WHOLE, "epochs": n})[0] for n in (1, 2, 3))
    averaged, _ = fit_fold(model=VIT, train={**WHOLE, "epochs": 3, "ema_decay": 0.5, "keep": "ema"})
    decays = [min(0.5, 1 - (1 + step) ** (-2 / 3)) for step in (1, 2)]
    expected = decays[0] * flat(first) + (1 - decays[0]) * flat(second)
    expected = decays[1] * expected + (1 - decays[1]) * flat(third)
    assert torch.allclose(flat(averaged), expected, atol=1e-6)
    assert not same(averaged, third, 1e-4)


def test_keep_last_keeps_the_raw_weights_although_an_average_is_kept(fit_fold):
    raw, _ = fit_fold(model=VIT, train={**PLAIN, "epochs": 2})
    beside, _ = fit_fold(model=VIT, train={**PLAIN, "epochs": 2, "ema_decay": 0.5, "keep": "last"})
    assert same(raw, beside)


def test_keep_best_gives_the_weights_of_the_epoch_with_the_best_metric(fit_fold):
    values = iter([0.1, 0.9, 0.4, 0.9])
    register("metric", "scripted")(lambda y, p, targets: next(values))
    best, history = fit_fold(metric="scripted", model=VIT, train={**PLAIN, "epochs": 4, "keep": "best"})
    second, _ = fit_fold(model=VIT, train={**PLAIN, "epochs": 2})
    assert list(history["scripted"]) == [0.1, 0.9, 0.4, 0.9]
    assert same(best, second)


def test_keep_best_keeps_the_lowest_where_less_is_better(fit_fold):
    values = iter([0.9, 0.1, 0.4])
    register("metric", "error")(scripted := lambda y, p, targets: next(values))
    scripted.greater_is_better = False
    best, _ = fit_fold(metric="error", model=VIT, train={**PLAIN, "epochs": 3, "keep": "best"})
    second, _ = fit_fold(model=VIT, train={**PLAIN, "epochs": 2})
    assert same(best, second)


def test_keep_best_keeps_the_average_where_there_is_one(fit_fold):
    values = iter([0.1, 0.9, 0.4])
    register("metric", "scripted")(lambda y, p, targets: next(values))
    averaging = {**PLAIN, "ema_decay": 0.5}
    best, _ = fit_fold(metric="scripted", model=VIT, train={**averaging, "epochs": 3, "keep": "best"})
    second, _ = fit_fold(model=VIT, train={**averaging, "epochs": 2, "keep": "ema"})
    assert same(best, second)


def test_keep_best_says_that_the_score_flatters(competition, configure, comp):
    configure(train={"keep": "best"}, folds={"kind": "holdout"})
    comp("split")
    status, out, _ = comp("train")
    assert status == 0
    assert "keep=best" in out
    assert "flatters" in out


@pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
def test_images_are_mixed_until_the_off_epochs(mixing, fit_fold, seen_targets):
    fit_fold(
        model=VIT,
        train={**WHOLE, "epochs": 3, "loss": "seen_targets"},
        augment={mixing: 1.0, "mix_off_epochs": 1},
    )
    hard = [bool(((targets == 0) | (targets == 1)).all()) for targets in seen_targets["targets"]]
    assert hard == [False, False, True]


def test_mix_prob_is_the_share_of_batches_that_are_mixed(fit_fold, seen_targets):
    train = {**PLAIN, "batch_size": 2, "epochs": 10, "loss": "seen_targets"}
    fit_fold(model={"backbone": "small_cnn", "image_size": 8}, train=train, augment={"mixup": 5.0, "mix_prob": 0.3})
    mixed = np.mean([bool(((targets > 0) & (targets < 1)).any()) for targets in seen_targets["targets"]])
    assert 0.1 < mixed < 0.35  # two of one class show no mixture


def test_the_weighted_sampler_draws_rare_classes_as_often_as_others(fit_fold, competition, seen_targets):
    unbalance(competition)
    shares = {}
    for sampler in ("shuffle", "weighted"):
        seen_targets["targets"].clear()
        train = {**PLAIN, "epochs": 20, "sampler": sampler, "loss": "seen_targets"}
        fit_fold(model={"backbone": "small_cnn", "image_size": 8}, train=train)
        shares[sampler] = torch.cat(seen_targets["targets"]).mean(dim=0)
    assert shares["shuffle"].min() < 0.15
    assert shares["weighted"].min() > 0.25


def test_balanced_class_weights_reach_the_loss(fit_fold, competition, seen_targets):
    unbalance(competition)
    fit_fold(train={"loss": "seen_targets", "class_weights": "balanced"})
    rows = torch.cat(seen_targets["targets"])
    assert len(seen_targets["weights"][0]) == rows.shape[1] == 3
    blue, green, red = seen_targets["weights"][0]
    assert blue > green > red


def test_label_smoothing_changes_what_is_learned(fit_fold):
    plain, _ = fit_fold(model=VIT, train=WHOLE)
    smooth, _ = fit_fold(model=VIT, train={**WHOLE, "label_smoothing": 0.3})
    assert not same(plain, smooth, 1e-5)


def test_the_prior_that_logits_are_adjusted_by_is_that_of_the_folds_training_rows(fit_fold, competition, monkeypatch):
    unbalance(competition)
    given = []

    def noted(settings, y, targets):
        given.append(y)
        return adjusted(settings, y, targets)

    monkeypatch.setattr("comp.vision.training.setup.adjusted", noted)
    fit_fold(model=VIT, train={**WHOLE, "batch_size": 8, "logit_adjustment": 1.0})
    folds = pd.read_csv(competition / "folds.csv", dtype=str, skiprows=1)
    labels = pd.read_csv(competition / "train.csv", dtype=str).set_index("id")["label"]
    shares = labels[folds["id"][folds["fold"] != "0"]].value_counts(normalize=True).sort_index()
    assert given[0].mean(dim=0).tolist() == pytest.approx(shares.tolist())


def test_layer_decay_gives_each_layer_its_share_of_the_rate():
    settings = Train(layer_decay=0.5, lr=0.1)
    model = build_model(Model(backbone="test_vit", pretrained=False, image_size=16), classes=3)
    optimizer = build_optimizer(model, settings)
    set_learning_rate(optimizer, 0.1)
    rates = {parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    blocks = [rates[block.mlp.fc1.weight] for block in model.backbone.blocks]
    assert rates[model.head.weight] == 0.1
    assert all(later == 2 * earlier for earlier, later in itertools.pairwise(blocks))
    assert rates[model.backbone.patch_embed.proj.weight] == blocks[0] / 2


def test_weight_decay_spares_biases_norms_and_what_the_backbone_names():
    model = build_model(Model(backbone="test_vit", pretrained=False, image_size=16), classes=3)
    optimizer = build_optimizer(model, Train(weight_decay=0.05))
    decay = {parameter: group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]}
    assert decay[model.head.weight] == decay[model.backbone.blocks[0].mlp.fc1.weight] == 0.05
    assert decay[model.head.bias] == decay[model.backbone.norm.weight] == decay[model.backbone.pos_embed] == 0


def test_an_unknown_optimizer_is_refused_by_name(fit_fold):
    with pytest.raises(CompError, match=r"train\.optimizer=adamww"):
        fit_fold(train={"optimizer": "adamww"})


def test_frozen_epochs_leave_the_backbone_and_its_statistics_alone(fit_fold):
    one, _ = fit_fold(train={**PLAIN, "freeze_epochs": 1})
    other, _ = fit_fold(train={**PLAIN, "freeze_epochs": 1, "lr": 0.1})
    assert same(one.backbone, other.backbone)
    assert not same(one.head, other.head, 1e-5)
    norms = [module for module in one.backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.running_mean.any() or norm.num_batches_tracked for norm in norms)


def test_the_backbone_trains_once_the_frozen_epochs_are_over(fit_fold):
    frozen, _ = fit_fold(train={**PLAIN, "epochs": 1, "freeze_epochs": 1})
    trained, _ = fit_fold(train={**PLAIN, "epochs": 2, "freeze_epochs": 1})
    assert not torch.equal(next(frozen.backbone.parameters()), next(trained.backbone.parameters()))
    norms = [module for module in trained.backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked == 1 for norm in norms)


def test_mixed_precision_goes_on_after_the_frozen_epochs(fit_fold):
    seen = []

    def watched(settings: Model) -> nn.Module:
        convolution = nn.Conv2d(3, 8, 3)
        convolution.register_forward_hook(lambda module, _, out: seen.append(out.dtype if module.training else None))
        return nn.Sequential(convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    register("model", "watched")(watched)
    train = {**PLAIN, "epochs": 2, "freeze_epochs": 1, "precision": "bf16"}
    fit_fold(model={"backbone": "watched"}, train=train)
    assert set(seen) == {None, torch.bfloat16}  # None: not in training


def test_accumulation_gives_the_same_weights_as_one_large_batch(fit_fold):
    train = {**PLAIN, "epochs": 2, "lr": 0.1, "clip_norm": 0.5, "ema_decay": 0.9, "keep": "ema"}
    large, history = fit_fold(model=VIT, train=train)
    pieces, again = fit_fold(model=VIT, train={**train, "accumulate": 4})
    assert same(large, pieces, 1e-6)
    assert np.allclose(history["train_loss"], again["train_loss"], atol=1e-5)


def test_clipping_bounds_the_norm_of_an_update(fit_fold):
    train = {**WHOLE, "lr": 1.0}
    one, two = (flat(fit_fold(model=VIT, train={**train, "clip_norm": norm})[0]) for norm in (0.01, 0.03))
    assert (two - one).norm().item() == pytest.approx(0.02, rel=1e-3)


def test_gradient_checkpointing_gives_the_same_weights(fit_fold):
    plain, _ = fit_fold(model=VIT, train={**PLAIN, "epochs": 2})
    checkpointed, _ = fit_fold(model=VIT, train={**PLAIN, "epochs": 2, "grad_checkpointing": True})
    assert checkpointed.backbone.grad_checkpointing
    assert same(plain, checkpointed, 1e-6)


@pytest.mark.parametrize("backbone", ["small_cnn", "dla46x_c"])
def test_a_backbone_without_gradient_checkpointing_says_so(backbone, fit_fold):
    with pytest.raises(CompError, match=r"train\.grad_checkpointing: the backbone .* does not support it"):
        fit_fold(model={"backbone": backbone, "image_size": 32}, train={"grad_checkpointing": True})


@pytest.mark.parametrize("wanted", [True, False])
def test_channels_last_is_the_order_of_weights_and_images(wanted, fit_fold, seen_inputs):
    model, _ = fit_fold(model={"backbone": "seen_inputs"}, train={"channels_last": wanted})
    assert model.backbone.conv.weight.is_contiguous(memory_format=torch.channels_last) is wanted
    assert {facts["channels_last"] for facts in seen_inputs} == {wanted}


def compiled_frames() -> int:
    return torch._dynamo.utils.counters["frames"]["ok"]


def test_compile_compiles_and_gives_the_same_weights(fit_fold, capsys):
    torch._dynamo.reset()
    settings = {"model": {"backbone": "small_cnn"}, "train": {**PLAIN, "epochs": 2, "freeze_epochs": 1}}
    eager, _ = fit_fold(**settings)
    before = compiled_frames()
    compiled, _ = fit_fold(**{**settings, "train": {**settings["train"], "compile": "aot_eager"}})
    assert compiled_frames() > before
    assert same(eager, compiled, 1e-5)
    assert len(re.findall(r"compile  fold 0: \d+ s", capsys.readouterr().out)) == 2  # with frozen weights, and without


def test_what_does_not_compile_is_one_line(fit_fold):
    register("model", "stubborn")(lambda settings: small_cnn(settings))
    with pytest.raises(CompError, match=r"train\.compile=no_such_compiler: "):
        fit_fold(model={"backbone": "stubborn"}, train={**PLAIN, "compile": "no_such_compiler"})


@pytest.mark.release  # by a quicker backend above
@pytest.mark.skipif(not shutil.which("g++") and not shutil.which("c++"), reason="needs a C++ compiler")
def test_compile_true_uses_inductor(fit_fold):
    torch._dynamo.reset()
    register("model", "pooled")(lambda settings: nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()))
    eager, _ = fit_fold(model={"backbone": "pooled"}, train=PLAIN)
    before = compiled_frames()
    compiled, _ = fit_fold(model={"backbone": "pooled"}, train={**PLAIN, "compile": True})
    assert compiled_frames() > before
    assert same(eager, compiled, 1e-4)


def test_an_unknown_compile_backend_is_refused_by_name(fit_fold):
    with pytest.raises(CompError, match=r"train\.compile=inducter"):
        fit_fold(train={"compile": "inducter"})


def test_early_stopping_on_the_metric_stops_after_so_many_epochs_without_gain(fit_fold):
    values = iter([0.5, 0.7, 0.7, 0.6, 0.8, 0.1, 0.1, 0.9])
    register("metric", "scripted")(lambda y, p, targets: next(values))
    train = {**PLAIN, "epochs": 8, "early_stop": {"patience": 3, "watch": "metric"}}
    _, history = fit_fold(metric="scripted", model={"backbone": "small_cnn"}, train=train)
    assert len(history) == 8
    values = iter([0.5, 0.7, 0.7, 0.6, 0.7, 0.9])
    _, history = fit_fold(metric="scripted", model={"backbone": "small_cnn"}, train=train)
    assert len(history) == 5


def test_early_stopping_on_the_loss_watches_the_validation_loss(fit_fold):
    train = {**PLAIN, "epochs": 8, "lr": 1e-30, "early_stop": {"patience": 3, "watch": "loss"}}
    _, history = fit_fold(model=VIT, train=train)
    assert history["val_loss"].nunique() == 1
    assert len(history) == 1 + 3


def test_the_rate_warms_up_then_falls_along_half_a_cosine():
    settings = Train(lr=1.0, epochs=5, warmup_epochs=1, min_lr=0.1)
    rates = [learning_rate(update, 4, settings) for update in range(21)]
    assert rates[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates[4] == 1.0
    assert rates[12] == pytest.approx((1.0 + 0.1) / 2)
    assert rates[20] == pytest.approx(0.1)
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_a_constant_schedule_stays_where_the_warm_up_ends():
    settings = Train(lr=1.0, epochs=5, warmup_epochs=0.5, schedule="constant")
    assert [learning_rate(update, 4, settings) for update in range(4)] == pytest.approx([1 / 3, 2 / 3, 1, 1])


def test_on_a_plateau_the_rate_falls_after_the_patience():
    settings = Train(lr=1.0, schedule="plateau", plateau={"patience": 2, "factor": 0.5}, min_lr=0.3)
    falling = [3.0, 2.0, 1.0]
    rates = [learning_rate(0, 4, settings, falling + [1.0] * stuck) for stuck in range(10)]
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3]
    assert learning_rate(0, 4, settings, [*falling, 1.0, 1.0, 0.9, 0.9, 0.9]) == 1.0


def test_frozen_epochs_have_a_rate_of_their_own_and_the_schedule_starts_after_them():
    frozen = Train(lr=1.0, epochs=5, freeze_epochs=2, freeze_lr=7.0, warmup_epochs=1)
    after = Train(lr=1.0, epochs=3, warmup_epochs=1)
    rates = [learning_rate(update, 4, frozen) for update in range(20)]
    assert rates[:8] == [7.0] * 8
    assert rates[8:] == [learning_rate(update, 4, after) for update in range(12)]
    plateau = Train(lr=1.0, freeze_epochs=2, freeze_lr=7.0, schedule="plateau", plateau={"patience": 1})
    assert learning_rate(8, 4, plateau, [1.0, 1.0, 9.0]) == 1.0  # frozen epochs are no plateau


def test_a_cosine_over_fewer_epochs_than_are_trained_stays_at_its_end():
    short = Train(lr=1.0, epochs=6, schedule_epochs=3, min_lr=0.01)
    rates = [learning_rate(update, 4, short) for update in range(24)]
    assert rates[:12] == [learning_rate(update, 4, Train(lr=1.0, epochs=3, min_lr=0.01)) for update in range(12)]
    assert rates[12:] == pytest.approx([0.01] * 12)
    with pytest.raises(ValueError, match=r"train\.schedule_epochs is of the schedule cosine, not of constant"):
        Train(schedule="constant", schedule_epochs=3)
    with pytest.raises(ValueError, match=r"train\.warmup_epochs=3 do not fit into train\.schedule_epochs=3"):
        Train(warmup_epochs=3, schedule_epochs=3)


def test_the_history_holds_the_rate_that_was_used(fit_fold):
    _, history = fit_fold(model={"backbone": "small_cnn"}, train={**WHOLE, "epochs": 3, "schedule": "cosine"})
    assert list(history["lr"]) == pytest.approx([0.01, 0.0075, 0.0025])


def test_a_rate_of_almost_zero_learns_almost_nothing(fit_fold):
    still, _ = fit_fold(model=VIT, train={**WHOLE, "lr": 1e-30})
    moved, _ = fit_fold(model=VIT, train=WHOLE)
    assert not same(still, moved, 1e-4)


@pytest.mark.parametrize(("wanted", "dtype"), [("auto", torch.float32), ("bf16", torch.bfloat16)])
def test_a_cpu_computes_in_fp32_unless_asked(wanted, dtype, fit_fold, seen_inputs):
    model, _ = fit_fold(model={"backbone": "seen_inputs"}, train={"precision": wanted})
    assert {facts["dtype"] for facts in seen_inputs} == {dtype}
    assert model.backbone.conv.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [([(7, 5)], "fp16"), ([(8, 0)], "bf16"), ([(9, 0), (9, 0)], "bf16"), ([(8, 6), (7, 5)], "fp16")],
)
def test_bf16_only_where_every_gpu_has_it(capabilities, precision, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)  # what PyTorch says of a T4
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number=0: capabilities[number])
    assert resolve_precision("auto") == precision
    assert resolve_precision("fp32") == "fp32"


def test_fp16_without_a_gpu_is_refused(configure, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(CompError, match=r"train\.precision=fp16 needs a GPU"):
        accelerator_for(configure(train={"precision": "fp16"}))


def test_a_loss_that_is_not_finite_ends_in_one_clear_line(competition, configure, comp):
    configure(train={**PLAIN, "lr": 1e30, "epochs": 3}, model=VIT)
    comp("split")
    status, _, err = comp("train")
    assert status == 1
    [line] = [line for line in err.splitlines() if line.startswith("error")]
    assert line.startswith("error: fold 0, epoch 2: the training loss is nan. Set train.lr lower")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("metric=acuracy", "did you mean 'accuracy'?"),
        ("train.loss=cross_entopy", "did you mean 'cross_entropy'?"),
        ("folds=[5]", "folds.use names fold 5, there are folds 0 to 1"),
        ("train.accumulate=3", "train.batch_size=8 cannot be cut into 1 processes × 3 accumulation steps"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_the_first_epoch(override, message, competition, configure, comp):
    configure()
    comp("split")
    status, out, err = comp("train", override)
    assert status == 1
    assert message in err
    assert "epoch" not in out


def test_weights_of_every_other_epoch_are_kept_as_checkpoints(fit_fold, configure):
    fit_fold(train={**PLAIN, "epochs": 4, "checkpoint_epochs": 2, "keep": "last"})
    folder = next(Path("runs").glob("fit*"))
    assert sorted(path.name for path in folder.glob("epoch*")) == ["epoch2.safetensors", "epoch4.safetensors"]
    second, facts = load_checkpoint(configure().model, folder / "epoch2.safetensors")
    last, _ = load_checkpoint(configure().model, folder / "epoch4.safetensors")
    assert facts["left_out"] == [0]
    assert facts["folds"]
    assert not same(second, last, 1e-6)


def test_an_unknown_optimizer_is_refused_before_any_image_is_trained_on(competition, configure, comp):
    configure()
    assert comp("split")[0] == 0
    status, out, err = comp("train", "train.optimizer=adamww")
    assert (status, err.count("\n")) == (1, 1)
    assert "train.optimizer=adamww: no such optimizer: did you mean 'adamw'?" in err
    assert "epoch" not in out


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["train.lr=1e-4"], True),
        (["train.lr=3e-4"], False),
        (["train.lr=1e-4", "model.weights=weights.safetensors"], False),
    ],
)
def test_random_weights_and_a_rate_for_pretrained_ones_are_told_once_at_the_start(
    competition, configure, comp, settings, told
):
    from safetensors.torch import save_file
    from timm import create_model

    save_file(create_model("test_resnet").state_dict(), "weights.safetensors")
    configure(folds={"kind": "holdout"})
    comp("split")
    status, out, err = comp("train", *settings)
    assert (status, err) == (0, "")
    assert out.count("note    model.pretrained=false: the weights are random, and train.lr=0.0001 is a rate") == told
    assert "note" not in out.partition("epoch")[2]
