"""What the configuration calls by name: of parts of one name, the user's is used, whichever was imported first."""

import pytest

from comp import registry
from comp.registry import find, names, register
from comp.tasks import registering


@pytest.fixture
def metrics(monkeypatch):
    """The registered metrics; what the test registers is gone after it."""
    names("metric")
    monkeypatch.setitem(registry._parts, "metric", dict(registry._parts["metric"]))
    return registry._parts["metric"]


def built_in():
    def part():
        return 0.0

    part.__module__ = f"{registering('metric')[0]}.of_something"
    return part


@pytest.mark.parametrize("own_first", [True, False])
def test_the_users_part_is_used_whichever_was_imported_first(metrics, own_first):
    own, other = (lambda: 1.0), built_in()
    for part in (own, other) if own_first else (other, own):
        register("metric", "twice")(part)
    assert find("metric", "twice") is own


@pytest.mark.parametrize("make", [built_in, lambda: lambda: 1.0], ids=["built-in", "own"])
def test_of_two_alike_the_later_one_is_used(metrics, make):
    parts = [register("metric", "twice")(make()) for _ in range(2)]
    assert find("metric", "twice") is parts[1]
