"""One configuration, several models: each member is the experiment with overrides."""

import pytest

from comp.config import load_config
from comp.config.load import members_of
from comp.errors import CompError


def test_a_member_is_the_experiment_with_its_overrides(small):
    members = [{"name": "a", "seed": 7}, {"name": "b", "train": {"epochs": 7}}]
    first, second = members_of(small.configure(train={"lr": 0.01}, members=members))
    assert (first.name, second.name) == ("small-a", "small-b")
    assert (first.seed, second.seed) == (7, 42)
    assert second.train.epochs == 7
    assert first.train.lr == second.train.lr == 0.01
    assert first.members == second.members == []


def test_one_member_can_be_chosen(small, repo):
    small.configure(members=[{"name": "a", "seed": 7}])
    chosen = load_config(repo / "conf/baseline.yaml", ["member=a"])
    assert (chosen.name, chosen.seed) == ("small-a", 7)
    with pytest.raises(CompError, match="member=c: there is no such member; there are a"):
        load_config(repo / "conf/baseline.yaml", ["member=c"])


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([{"seed": 3}], r"members\[0\] needs a name"),
        ([{"name": "a"}, {"name": "a"}], r"members\[0\] needs a name that no other member has"),
        ([{"name": "a"}, {"name": "b", "train": {"epoch": 1}}], r"members\[1\] \(b\): unknown key 'train.epoch'"),
        ([{"name": "a", "train": {"epochs": "many"}}], r"members\[0\] \(a\): train.epochs"),
    ],
)
def test_a_wrong_member_is_named(members, message, small):
    with pytest.raises(CompError, match=message):
        small.configure(members=members)
