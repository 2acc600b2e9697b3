"""Which part knows which targets: what `KNOWS` says holds where the part is asked for."""

import itertools

import numpy as np
import pytest
import torch
from vision.small import write_competition
from vision.test_numbers_and_lists import amounts, relabel

from comp.errors import CompError
from comp.registry import find, kinds_of, names
from comp.tables import Targets
from comp.vision.ensemble.combiners import blend_fit
from comp.vision.ensemble.learners import stack_fit
from comp.vision.kinds import KNOWS, refuse_kind
from comp.vision.metrics import score
from comp.vision.model.link import Link
from comp.vision.schema import Blend, Stack, Submit, Train
from comp.vision.submission.corrections import refuse_postprocess
from comp.vision.training.losses import check_loss

KINDS = {
    "multiclass": Targets("multiclass", ("0", "1", "2")),
    "binary": Targets("binary", ("wet",)),
    "multilabel": Targets("multilabel", ("wet", "red", "old")),
    "regression": Targets("regression", ("height", "weight")),
}
ROWS = 60


def drawn(targets: Targets) -> tuple[np.ndarray, np.ndarray]:
    """A truth (N, K) and the predictions (N, 3, K) of three members."""
    rng = np.random.default_rng(0)
    if targets.kind == "regression":
        y = rng.normal(10, [3, 30], (ROWS, 2)).astype(np.float32)
        return y, y[:, None] + rng.normal(0, 5, (ROWS, 3, 2))
    shape = (ROWS, len(targets.classes))
    y = np.eye(3)[np.arange(ROWS) % 3] if targets.kind == "multiclass" else (rng.random(shape) < 0.4)
    p = np.clip(0.4 * y[:, None] + 0.6 * rng.random((ROWS, 3, shape[1])), 0.01, 0.99)
    return y.astype(np.float32), p / p.sum(axis=2, keepdims=True) if targets.kind == "multiclass" else p


def used(part: str, targets: Targets) -> None:
    """Asks for the part as the configuration does; where it is known, it has to do its work."""
    key, _, value = part.partition("=")
    y, p = drawn(targets)
    if key == "train.logit_adjustment":
        check_loss(Train(logit_adjustment=1.0), targets)
    elif key == "submit.postprocess":
        settings = Submit(postprocess=[value])
        refuse_postprocess(settings, targets)
        assert np.isfinite(find("postprocess", value)(p[:, 0], y, targets, settings)(p[:, 1])).all()
    elif key.startswith("train."):
        check_loss(Train(**{key.removeprefix("train."): value}), targets)
    else:
        settings = {"blend.kind": Blend, "stack.kind": Stack}[key](kind=value)
        fit = blend_fit(settings, "mae", targets) if key == "blend.kind" else stack_fit(settings, 0, targets)
        none = np.zeros((ROWS, 0))
        assert np.isfinite(fit(p, none, y)(p, none)).all()


@pytest.mark.parametrize(("part", "kind"), itertools.product([part for part in KNOWS if "." in part], KINDS))
def test_a_part_does_its_work_for_the_kinds_that_it_knows_and_refuses_the_others_by_name(part, kind):
    if kind in KNOWS[part]:
        used(part, KINDS[kind])
    else:
        with pytest.raises(CompError, match=part.replace(".", r"\.")) as refused:
            used(part, KINDS[kind])
        assert f"the targets are {kind}" in str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [Blend(), Blend(kind="weights"), Blend(kind="hill_climbing"), Stack()])
def test_means_weights_and_lightgbm_know_every_kind(kind, settings):
    (y, p), none = drawn(KINDS[kind]), np.zeros((ROWS, 0))
    metric = "mae" if kind == "regression" else "log_loss"
    targets = KINDS[kind]
    fit = blend_fit(settings, metric, targets) if isinstance(settings, Blend) else stack_fit(settings, 0, targets)
    combined = fit(p, none, y)(p, none)
    worst = max(score(metric, y, p[:, member], targets) for member in range(3))
    assert score(metric, y, combined, targets) < worst


@pytest.mark.parametrize("kind", KINDS)
def test_a_metric_is_defined_for_the_kinds_that_it_names_and_refused_for_the_others(kind):
    y, p = drawn(KINDS[kind])
    known = 0
    for name in (name for name in names("metric") if kinds_of(name, "") != ("",)):
        try:
            value = score(name, y, p[:, 0], KINDS[kind])
        except CompError as refused:
            assert f"the targets are {kind}" in str(refused)
        else:
            known += 1
            assert np.isfinite(value) or name == "rmsle"
    assert known >= 6


@pytest.mark.parametrize("command", ["golden", "pseudo", "synth plan"])
def test_commands_for_classes_refuse_numbers_in_one_line(repo, configure, comp, command):
    write_competition(repo / "data")
    relabel(repo / "data", amounts, "0.5")
    configure(metric="rmse", train={"epochs": 1, "batch_size": 12})
    if command == "pseudo":
        assert comp("run", "steps=[split,train]")[0] == 0
    status, _, err = comp(*command.split())
    assert (status, err.count("\n")) == (1, 1)
    assert f"comp {command.partition(' ')[0]} is for one class per row" in err
    assert "the targets are regression" in err


def test_a_kind_that_is_known_is_not_refused():
    for part, kinds in KNOWS.items():
        for kind in kinds:
            refuse_kind(part, KINDS[kind])


GRADES = Targets("multiclass", ("0", "1", "4"))


@pytest.mark.parametrize(
    ("loss", "targets"),
    [("mse", KINDS["regression"]), ("bce", KINDS["regression"]), ("mse", GRADES), ("corn", GRADES), ("auto", GRADES)],
)
def test_what_a_loss_is_taught_is_what_is_predicted(loss, targets):
    y = np.eye(3, dtype=np.float32)[np.arange(12) % 3] if targets is GRADES else drawn(targets)[0]
    link = Link.of(loss, targets, y)
    taught = link.encode(torch.from_numpy(y))
    assert taught.shape == (len(y), link.outputs)
    sure = (100 * (2 * taught - 1)) if link.kind in {"corn", "softmax"} else taught
    outputs = torch.logit(taught, eps=1e-7) if link.kind == "range" else sure
    assert np.allclose(link.predictions(outputs).numpy(), y, atol=1e-3)
    assert Link.from_facts(link.facts()) == link


def test_grades_learned_as_a_number_expect_that_number():
    y = np.eye(3, dtype=np.float32)[[0, 1, 2, 2]]
    link = Link.of("mse", GRADES, y)
    outputs = torch.linspace(-3, 3, 50)[:, None]
    p = link.predictions(outputs).numpy()
    number = outputs.numpy()[:, 0] * link.scale[0] + link.shift[0]
    assert np.allclose(p.sum(axis=1), 1, atol=1e-6)
    assert np.allclose(p @ [0, 1, 4], np.clip(number, 0, 4), atol=1e-5)


def test_mixed_targets_are_taught_as_the_mixture():
    y = torch.eye(3)[[0, 2]]
    for loss in ("mse", "corn"):
        link = Link.of(loss, GRADES, y.numpy())
        taught = link.encode(y)
        mixed = link.encode(0.3 * y + 0.7 * y.flip(0))
        assert torch.allclose(mixed, 0.3 * taught + 0.7 * taught.flip(0), atol=1e-6)
