"""The losses against their formulas, written out by hand."""

import math

import pytest
import torch

from comp.errors import CompError
from comp.tables import Targets
from comp.vision.schema import Train
from comp.vision.training.losses import adjusted, balanced_weights, build_loss, check_loss

CLASSES = Targets("multiclass", ("a", "b", "c"))
LABELS = Targets("multilabel", ("x", "y"))
BINARY = Targets("binary", ("x",))
LOGITS = torch.tensor([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3]])
HARD = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
MIXED = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.5, 0.5]])


def softmax_rows(logits: torch.Tensor) -> list[list[float]]:
    rows = [[math.exp(value) for value in row] for row in logits.tolist()]
    return [[value / sum(row) for value in row] for row in rows]


def by_hand(targets: torch.Tensor, each) -> float:
    """The mean over rows of the sum over classes of `each(target, probability, class)`."""
    p = softmax_rows(LOGITS)
    rows = [sum(each(t, q, k) for k, (t, q) in enumerate(zip(*row, strict=True))) for row in zip(targets, p)]  # noqa: B905
    return float(sum(rows) / len(rows))


@pytest.mark.parametrize("targets", [HARD, MIXED])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_with_soft_targets_and_smoothing(targets, smoothing):
    loss = build_loss(Train(label_smoothing=smoothing), CLASSES, None)
    expected = by_hand(targets, lambda t, q, _: -(t * (1 - smoothing) + smoothing / 3) * math.log(q))
    assert loss(LOGITS, targets).item() == pytest.approx(expected, rel=1e-5)


def test_class_weights_scale_each_class_of_the_cross_entropy():
    weights = torch.tensor([1.0, 2.0, 5.0])
    loss = build_loss(Train(), CLASSES, weights)
    expected = by_hand(HARD, lambda t, q, k: -t * math.log(q) * weights[k])
    assert loss(LOGITS, HARD).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 2.0, 3.5])
def test_focal_loss_weighs_each_class_by_how_wrong_it_is(gamma):
    loss = build_loss(Train(loss="focal", focal_gamma=gamma), CLASSES, None)
    expected = by_hand(HARD, lambda t, q, _: -t * (1 - q) ** gamma * math.log(q))
    assert loss(LOGITS, HARD).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("targets", [CLASSES, LABELS])
def test_a_focal_loss_of_what_is_quite_sure_has_a_slope(targets):
    logits = torch.full((1, len(targets.classes)), -60.0)
    logits[0, 0] = 60.0
    logits.requires_grad_()
    truth = torch.zeros_like(logits)
    truth[0, 0] = 1.0
    build_loss(Train(loss="focal", focal_gamma=0.5), targets, None)(logits, truth).backward()
    assert logits.grad.isfinite().all()


def test_focal_loss_of_labels_uses_a_sigmoid_a_column():
    logits, targets = torch.tensor([[1.5, -0.5]]), torch.tensor([[1.0, 1.0]])
    loss = build_loss(Train(loss="focal", focal_gamma=2.0), LABELS, None)
    p = [1 / (1 + math.exp(-value)) for value in (1.5, -0.5)]
    assert loss(logits, targets).item() == pytest.approx(sum(-((1 - q) ** 2) * math.log(q) for q in p) / 2, rel=1e-5)


@pytest.mark.parametrize("targets", [LABELS, BINARY])
def test_auto_is_binary_cross_entropy_where_several_labels_may_hold(targets):
    logits = torch.tensor([[0.3, -2.0]])[:, : len(targets.classes)]
    truth = torch.tensor([[1.0, 0.0]])[:, : len(targets.classes)]
    smoothed = [0.95, 0.05][: len(targets.classes)]
    loss = build_loss(Train(label_smoothing=0.1), targets, None)
    p = logits.sigmoid()[0].tolist()
    each = [-(t * math.log(q) + (1 - t) * math.log(1 - q)) for t, q in zip(smoothed, p, strict=True)]
    assert loss(logits, truth).item() == pytest.approx(sum(each) / len(each), rel=1e-5)


def test_balanced_weights_give_each_class_the_same_sum():
    y = torch.eye(3)[[0] * 6 + [1] * 3 + [2]]
    weights = balanced_weights(y, CLASSES)
    assert (y * weights).sum(dim=0).tolist() == pytest.approx([10 / 3] * 3)


def test_balanced_weights_of_labels_are_negatives_by_positives():
    y = torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    assert balanced_weights(y, LABELS).tolist() == pytest.approx([3.0, 1 / 3])


def test_a_softmax_loss_for_labels_is_refused():
    with pytest.raises(CompError, match=r"train\.loss=cross_entropy is for one class per row"):
        check_loss(Train(loss="cross_entropy"), LABELS)


def optimum(loss, targets: Targets, truth: list[float]) -> list[float]:
    """The probabilities of a row that the loss is least with, when nothing but that row is trained on."""
    logits = torch.zeros(1, len(truth), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=500, line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(logits, torch.tensor([truth], dtype=torch.float64))
        value.backward()
        return value

    for _ in range(5):
        optimizer.step(closure)
    return (logits.softmax(dim=1) if targets.kind == "multiclass" else logits.sigmoid())[0].tolist()


ROWS = {"negative": [0.0], "positive": [1.0], "mixed": [0.3], "mixed evenly": [0.5]}
MAJORITY = {"majority": [1.0, 0.0, 0.0], "rare": [0.0, 0.0, 1.0], "mixed": [0.6, 0.1, 0.3]}
RARE = torch.tensor([0.4, 1.0, 34.0], dtype=torch.float64)  # balanced weights where the last class has 1 % of the rows


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("truth", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("name", ["bce", "focal"])
def test_the_weight_of_positives_moves_no_rows_optimum(name, truth, smoothing):
    """At 1 % positives weighted ×99, a smoothing of 0.1 put a perfect negative at 0.84 when it was weighted itself."""
    settings = Train(loss=name, label_smoothing=smoothing)
    plain, weighted = (build_loss(settings, BINARY, w) for w in (None, torch.tensor([99.0], dtype=torch.float64)))
    found = optimum(weighted, BINARY, truth)
    assert found == pytest.approx(optimum(plain, BINARY, truth), abs=5e-3)
    if name == "bce":
        assert found == pytest.approx([truth[0] * (1 - smoothing) + smoothing / 2], abs=5e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("truth", MAJORITY.values(), ids=MAJORITY)
@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_class_weights_move_no_rows_optimum(name, truth, smoothing):
    settings = Train(loss=name, label_smoothing=smoothing)
    plain, weighted = (build_loss(settings, CLASSES, weights) for weights in (None, RARE))
    found = optimum(weighted, CLASSES, truth)
    assert found == pytest.approx(optimum(plain, CLASSES, truth), abs=5e-3)
    if name == "cross_entropy":
        assert found == pytest.approx([t * (1 - smoothing) + smoothing / 3 for t in truth], abs=5e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(
    ("name", "targets"), [("auto", CLASSES), ("focal", CLASSES), ("auto", LABELS), ("focal", LABELS)]
)
def test_a_row_counts_as_often_as_its_weight_says(name, targets, smoothing):
    """And in between where it is mixed: the weight has no jump at one half, as it had for focal losses."""
    k = len(targets.classes)
    weights, settings = torch.tensor([2.0, 3.0, 5.0])[:k], Train(loss=name, label_smoothing=smoothing)
    plain, weighted = build_loss(settings, targets, None), build_loss(settings, targets, weights)
    logits = LOGITS[:1, :k]
    for place in range(k):
        truth = torch.eye(k)[[place]]
        if targets.kind == "multiclass":
            assert weighted(logits, truth).item() == pytest.approx(weights[place] * plain(logits, truth).item())
    around = [weighted(logits, torch.full((1, k), share)).item() for share in (0.4999, 0.5, 0.5001)]
    assert max(around) - min(around) < 1e-2 * around[1]


def test_without_smoothing_hard_targets_weigh_as_torch_weighs_them():
    weights = torch.tensor([1.0, 2.0, 5.0])
    ours = build_loss(Train(), CLASSES, weights)(LOGITS, HARD)
    assert ours.item() == pytest.approx(torch.nn.functional.cross_entropy(LOGITS, HARD, weight=weights).item())
    ours = build_loss(Train(), LABELS, weights[:2])(LOGITS[:, :2], HARD[:, :2])
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(LOGITS[:, :2], HARD[:, :2], pos_weight=weights[:2])
    assert ours.item() == pytest.approx(theirs.item())


def test_where_nothing_tells_them_apart_adjusted_classes_are_equally_likely():
    """Without, a model that sees nothing predicts the prior."""
    y = torch.eye(3, dtype=torch.float64)[[0] * 90 + [1] * 9 + [2]]
    prior = y.mean(dim=0).tolist()
    for tau, expected in ((1.0, [1 / 3] * 3), (0.0, prior)):
        loss = adjusted(Train(logit_adjustment=tau), y, CLASSES)
        assert optimum(loss, CLASSES, prior) == pytest.approx(expected, abs=1e-3)


def test_a_sure_row_of_a_frequent_class_is_not_predicted_as_the_rarest():
    """Smoothed evenly, class 2 would get 0.033 for its 0.01, and class 0 only 0.93 for its 0.9."""
    y = torch.eye(3, dtype=torch.float64)[[0] * 90 + [1] * 9 + [2]]
    loss = adjusted(Train(logit_adjustment=1.0, label_smoothing=0.1), y, CLASSES)
    for number in range(3):
        p = optimum(loss, CLASSES, torch.eye(3)[number].tolist())
        assert max(range(3), key=p.__getitem__) == number
        others = [p[k] for k in range(3) if k != number]
        assert others[0] == pytest.approx(others[1], abs=1e-3)


def test_a_sure_negative_of_a_rare_label_stays_one():
    y = torch.tensor([[1.0]] * 2 + [[0.0]] * 98, dtype=torch.float64)
    loss = adjusted(Train(loss="bce", logit_adjustment=1.0, label_smoothing=0.1), y, BINARY)
    assert optimum(loss, BINARY, [0.0])[0] < 0.15
    assert optimum(loss, BINARY, [1.0])[0] > 0.85


def test_adjusted_columns_of_a_sigmoid_are_as_likely_as_not():
    y = torch.tensor([[1.0]] * 2 + [[0.0]] * 98, dtype=torch.float64)
    assert optimum(adjusted(Train(logit_adjustment=1.0), y, BINARY), BINARY, [0.02]) == pytest.approx([0.5], abs=1e-3)


def test_a_class_without_rows_does_not_make_the_loss_infinite():
    y = torch.eye(3)[[0, 0, 1]]
    assert adjusted(Train(logit_adjustment=1.0), y, CLASSES)(LOGITS, HARD).isfinite()


@pytest.mark.parametrize("other", [{"sampler": "weighted"}, {"class_weights": "balanced"}])
def test_rare_classes_are_made_up_for_once(other):
    with pytest.raises(ValueError, match=r"train\.logit_adjustment=1 and train\.\w+=\w+ both make up for rare classes"):
        Train(logit_adjustment=1.0, **other)


def test_adjusted_focal_loss_is_refused():
    with pytest.raises(ValueError, match=r"train\.logit_adjustment=1 is for probabilities that are true"):
        Train(logit_adjustment=1.0, loss="focal")
