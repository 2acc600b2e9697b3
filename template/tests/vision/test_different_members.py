"""Members that differ in their model: each is a run of its own."""

from comp.config.load import members_of


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


def test_members_may_differ_in_precision(competition, configure, comp):
    """One process trains them all, and Accelerate means its first precision for life."""
    precisions = {"a": "fp32", "b": "bf16", "c": "fp32"}
    members = [{"name": name, "train": {"precision": each}} for name, each in precisions.items()]
    configure(model={"backbone": "test_vit"}, members=members)
    comp("split")
    status, out, err = comp("train")
    assert status == 0, err
    assert all(f"-- small-{name}" in out for name in precisions)
