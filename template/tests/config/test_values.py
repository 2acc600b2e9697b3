"""Values that no training could mean are refused where they are read, with all the keys that contradict each other."""

import pytest

from comp.errors import CompError


@pytest.fixture
def refusal(small, repo):
    def message(**sections):
        with pytest.raises(CompError) as refused:
            small.configure(**sections)
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) < 400
        return str(refused.value)

    return message


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"train": {"lr": 1e-4, "min_lr": 1e-3}}, ["train.min_lr=0.001", "train.lr=0.0001"]),
        ({"train": {"epochs": 2, "warmup_epochs": 3}}, ["train.warmup_epochs=3", "train.epochs=2"]),
        ({"train": {"lr": float("inf")}}, ["train.lr"]),
        ({"train": {"weight_decay": float("nan")}}, ["train.weight_decay"]),
        ({"train": {"epochs": 10**30}}, ["train.epochs"]),
        ({"folds": {"use": []}}, ["folds.use"]),
        ({"folds": {"seed": 2**40}}, ["folds.seed"]),
        ({"name": "x" * 300}, ["name: "]),
        ({"name": "é" * 60}, ["name: "]),
        ({"name": "a\nb"}, ["name: "]),
        ({"name": ""}, ["name: "]),
        ({"members": [{"name": "a", "config": 1}]}, ["members[0] (a)", "'config'"]),
    ],
)
def test_it_is_refused_with_its_keys(sections, named, refusal):
    message = refusal(**sections)
    assert all(name in message for name in named), message


def test_a_warm_up_that_lasts_as_long_as_the_training_is_one(small, repo):
    assert small.configure(train={"epochs": 3, "warmup_epochs": 3, "min_lr": 0.003, "lr": 0.003}).train.epochs == 3


def test_a_name_of_a_hundred_bytes_is_a_folder(small, repo, comp):
    small.write(repo / "data")
    small.configure(name="n" * 100)
    assert comp("split")[0] == comp("train")[0] == comp("submit")[0] == 0
