"""Any bytes as weights: tensors, or a line."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from support import damaged, gives_a_result_or_a_line

from comp.vision.model.build import load_checkpoint
from comp.vision.model.weights import bare_names, read_weights
from comp.vision.schema import Model

NAMES = st.lists(st.sampled_from(["model", "module", "conv", "bn", "ema", "weight", "0", ""]), max_size=4).map(".".join)
SAVED = st.recursive(
    st.integers() | st.none() | st.text(max_size=3) | st.builds(torch.ones, st.integers(0, 3)),
    lambda inner: st.dictionaries(
        NAMES | st.integers(0, 3) | st.sampled_from(["state_dict", "model"]), inner, max_size=4
    ),
    max_leaves=10,
)


@pytest.fixture
def valid(repo):
    tensors = {"conv.weight": torch.ones(3, 2), "bn.bias": torch.zeros(4)}
    torch.save({"state_dict": tensors}, repo / "valid.pth")
    save_file(tensors, repo / "valid.safetensors", {"comp": json.dumps({"classes": ["a"]})})
    return {path.suffix: path.read_bytes() for path in repo.iterdir()}


@given(st.data(), st.sampled_from([".pth", ".safetensors"]))
def test_any_bytes(repo, valid, data, suffix):
    path = repo / f"any{suffix}"
    path.write_bytes(data.draw(damaged(*valid.values())))
    gives_a_result_or_a_line(lambda: read_weights(path))


@given(SAVED)
def test_any_object(repo, value):
    torch.save(value, repo / "any.pth")
    wanted = {"conv.weight": torch.ones(1), "bn.weight": torch.ones(2)}
    gives_a_result_or_a_line(lambda: bare_names(read_weights(repo / "any.pth"), wanted, repo))


FACTS = st.fixed_dictionaries(
    {"classes": st.lists(st.text(max_size=2), max_size=3) | st.integers()},
    optional={
        "metadata": st.none()
        | st.lists(st.dictionaries(st.sampled_from(["name", "categories", "mean", "x"]), st.none())),
        "architecture": st.none() | st.lists(st.sampled_from(["test_resnet", 3, None]), max_size=3),
        "folds": st.text(max_size=3),
    },
)


@given(FACTS | st.text(max_size=4) | st.none())
def test_any_facts_of_a_checkpoint(repo, facts):
    save_file({"conv.weight": torch.ones(3, 2)}, repo / "any.safetensors", {"comp": json.dumps(facts)})
    settings = Model(backbone="test_resnet", pretrained=False, image_size=16)
    gives_a_result_or_a_line(lambda: load_checkpoint(settings, repo / "any.safetensors"))
