"""What Kaggle's client reads beside what it uploads, against what its code asks for."""

import json
from types import SimpleNamespace

import pytest
from slugify import slugify

from comp.config.common import Kaggle
from comp.errors import CompError
from comp.kaggle.metadata import (
    TWO_T4,
    Machine,
    Sources,
    dataset_metadata,
    kernel_metadata,
    owner,
    slug_of,
    slugified,
    title_of,
)

SWITCHES = {"is_private", "enable_gpu", "enable_tpu", "enable_internet"}


def refused(make, *given):
    with pytest.raises(CompError) as error:
        make(*given)
    assert "\n" not in str(error.value)
    return str(error.value)


def kernel(slug="digits-baseline", title="digits baseline", sources=None, **machine):
    return kernel_metadata("somebody", slug, title, "notebook.ipynb", sources or Sources(), Machine(**machine))


def test_each_switch_of_a_notebook_is_said():
    for made in (kernel(), kernel(accelerator=None), kernel(internet=True)):
        assert {key: type(made[key]) for key in SWITCHES} == dict.fromkeys(SWITCHES, bool)
        assert json.loads(json.dumps(made)) == made
    assert (kernel()["enable_internet"], kernel()["enable_gpu"], kernel()["machine_shape"]) == (False, True, TWO_T4)
    assert kernel(internet=True)["enable_internet"] is True
    assert kernel(accelerator=None)["enable_gpu"] is False
    assert "machine_shape" not in kernel(accelerator=None)


def test_the_sources_of_a_notebook_are_addresses():
    made = kernel(sources=Sources(("digits",), ("somebody/digits-code",), ("other/notebook",)))
    assert (made["competition_sources"], made["dataset_sources"]) == (["digits"], ["somebody/digits-code"])
    assert made["kernel_sources"] == ["other/notebook"]
    assert "'digits-code' is not OWNER/SLUG" in refused(lambda: kernel(sources=Sources(datasets=("digits-code",))))


@pytest.mark.parametrize("words", [("Ünïcode 漢字", "base_line"), ("a", "b"), ("digits", "x" * 80), ("--", "漢")])
@pytest.mark.parametrize("bounds", [(6, 50), (5, 50)])
def test_titles_become_their_slugs(words, bounds):
    slug = slug_of(*words, bounds=bounds)
    assert bounds[0] <= len(slug) <= bounds[1]
    assert slugified(title_of(slug)) == slugify(title_of(slug)) == slug  # as Kaggle's client does


@pytest.mark.parametrize(
    "names", [("x" * 60 + "1", "x" * 60 + "2"), ("v1.0", "v1_0", "v1-0"), ("猫", "犬"), ("A", "a")]
)
def test_names_that_are_cut_or_spelled_in_another_way_stay_apart(names):
    assert len({slug_of("digits", name) for name in names}) == len(names)


def test_a_name_that_can_stand_in_an_address_stands_there_as_it_is():
    assert slug_of("digits", "v1-0") == "digits-v1-0"


def test_what_the_client_would_refuse_is_refused():
    assert "6 to 50 letters" in refused(dataset_metadata, "somebody", "short", "short")
    assert "5 to 50 letters" in refused(lambda: kernel("abcd", "abcd"))
    assert "5 to 50 letters" in refused(lambda: kernel("a" * 51, "a" * 51))
    assert "into other-title, not into digits-code" in refused(dataset_metadata, "me", "digits-code", "other title")
    assert "20 to 80 letters" in refused(dataset_metadata, "me", "digits-code", "digits code", "too short")
    assert "kaggle.owner=" in refused(dataset_metadata, "no/body", "digits-code", "digits code")


def test_a_dataset_has_one_license():
    made = dataset_metadata("somebody", "digits-code", "digits code", "Code and weights, for a notebook")
    assert made["id"] == "somebody/digits-code"
    assert len(made["licenses"]) == 1


def test_the_owner_is_set_or_logged_in(monkeypatch):
    monkeypatch.setenv("KAGGLE_USERNAME", "logged-in")
    assert owner(SimpleNamespace(kaggle=Kaggle(owner="set"))) == "set"
    assert owner(SimpleNamespace(kaggle=Kaggle())) == "logged-in"
    monkeypatch.delenv("KAGGLE_USERNAME")
    assert "kaggle.owner=NAME" in refused(owner, SimpleNamespace(kaggle=Kaggle()))
