"""One configuration, several models: each member is the experiment with overrides."""

import pytest

from comp.config import load_config
from comp.config.load import members_of
from comp.errors import CompError


def test_a_member_is_the_experiment_with_its_overrides(configure):
    config = configure(
        train={"lr": 0.01},
        members=[
            {"name": "a", "model": {"image_size": 32}},
            {"name": "b", "model": {"backbone": "test_vit"}, "train": {"epochs": 7}},
        ],
    )
    first, second = members_of(config)
    assert (first.name, second.name) == ("small-a", "small-b")
    assert (first.model.image_size, first.model.backbone) == (32, "test_resnet")
    assert (second.model.image_size, second.model.backbone, second.train.epochs) == (16, "test_vit", 7)
    assert first.train.lr == second.train.lr == 0.01
    assert first.members == second.members == []


def test_one_member_can_be_chosen(configure, repo):
    configure(members=[{"name": "a", "seed": 7}])
    chosen = load_config(repo / "conf/baseline.yaml", ["member=a"])
    assert (chosen.name, chosen.seed) == ("small-a", 7)
    with pytest.raises(CompError, match="member=c: there is no such member; there are a"):
        load_config(repo / "conf/baseline.yaml", ["member=c"])


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([{"model": {"image_size": 32}}], r"members\[0\] needs a name"),
        ([{"name": "a"}, {"name": "a"}], r"members\[0\] needs a name that no other member has"),
        ([{"name": "a"}, {"name": "b", "model": {"bakbone": "x"}}], r"members\[1\] \(b\): unknown key 'model.bakbone'"),
        ([{"name": "a", "train": {"epochs": "many"}}], r"members\[0\] \(a\): train.epochs"),
    ],
)
def test_a_wrong_member_is_named(members, message, configure):
    with pytest.raises(CompError, match=message):
        configure(members=members)


def test_members_may_differ_in_precision(competition, configure, comp):
    """One process trains them all, and Accelerate means its first precision for life."""
    precisions = {"a": "fp32", "b": "bf16", "c": "fp32"}
    members = [{"name": name, "train": {"precision": each}} for name, each in precisions.items()]
    configure(model={"backbone": "test_vit"}, members=members)
    comp("split")
    status, out, err = comp("train")
    assert status == 0, err
    assert all(f"-- small-{name}" in out for name in precisions)
