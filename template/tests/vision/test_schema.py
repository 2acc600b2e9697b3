"""What the configuration of images refuses, and in which words."""

import pytest
from vision.small import SMALL

from comp.config import load_config
from comp.errors import CompError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("augment: {hflip: 1.5}", "exp.yaml: augment.hflip: "),
        ("data: {background: [0, 0]}", "exp.yaml: data.background: "),
        ("predict: {views: [transpose]}", "exp.yaml: predict.views: 'transpose' is not a view: identity, "),
        ("pretrain: {data: {train: images}}", "exp.yaml: pretrain.data needs root: the folder of those images"),
        ("synth: {data: {}}", "exp.yaml: synth.data needs root: the folder of those images"),
        ("data: {image_size: 64}", "did you mean 'model.image_size'?"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_key(repo, text, message):
    (repo / "exp.yaml").write_text(f"task: {SMALL['task']}\n{text}", encoding="utf-8")
    with pytest.raises(CompError) as refused:
        load_config(repo / "exp.yaml")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
