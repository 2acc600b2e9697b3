"""The demo of shapes: pictures that vary, and a CLIP model that knows every word of the classes, but none of them."""

import hashlib

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import assert_same_files

from comp.clip import demo
from comp.clip.schema import readable
from comp.clip.shapes import COLORS, HARD, PLAIN, SHAPES, SIDE_PX, draw
from comp.errors import CompError
from comp.vision.schema import ImageConfig

pytest.importorskip("transformers")

from comp.clip.tiny import CONTEXT, contrast, tokenizer_of, write_tiny_clip
from comp.vision.model.clip import load_clip

FEW = {"red_circle": 4, "blue_star": 2}


def written(root, steps=3):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "COUNTS", FEW)
        patch.setattr(demo, "PRETRAINED", 2)
        patch.setattr(demo, "STEPS", steps)
        return demo.write_demo(ImageConfig(data={"root": str(root)}))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The demo with few images and a model that hardly learned, written once."""
    return written(tmp_path_factory.mktemp("shapes") / "data")


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizer_of(["a photo of a red circle.", "a photo of a blue star."])


def table(path):
    return pd.read_csv(path, dtype=str)


@pytest.mark.parametrize("style", [PLAIN, HARD])
def test_pictures_vary_and_are_the_same_for_a_seed(style):
    def drawn(seed):
        return np.stack([np.asarray(draw("red", "ring", style, np.random.default_rng([seed, n]))) for n in range(8)])

    first = drawn(0)
    assert first.shape == (8, SIDE_PX, SIDE_PX, 3)
    assert np.array_equal(first, drawn(0))
    apart = np.abs(first[:, None].astype(int) - first).mean(axis=(2, 3, 4)) + 255 * np.eye(8)
    assert apart.min() > 5


@pytest.mark.parametrize("shape", SHAPES)
def test_a_plain_shape_shows_its_color(shape):
    pixels = np.mean([np.asarray(draw("red", shape, PLAIN, np.random.default_rng(n))) for n in range(9)], axis=0)
    excess = pixels[:, :, 0] - pixels[:, :, 1:].mean(axis=2)
    assert excess.max() > 60


def test_no_class_was_pretrained_yet_each_of_its_words_was():
    pairs = demo.pretrained_pairs()
    assert not set(pairs) & set(demo.COUNTS)
    assert len(pairs) + len(demo.COUNTS) == len(COLORS) * len(SHAPES)
    for words in zip(*(label.split("_") for label in demo.COUNTS), strict=True):
        for word in words:
            assert sum(word in pair.split("_") for pair in pairs) > 2, word


def test_tables_name_all_images_and_no_other(root):
    for name, split in (("train.csv", "train"), ("solution.csv", "test"), ("sample_submission.csv", "test")):
        assert sorted(f"{one}.png" for one in table(root / name)["id"]) == sorted(
            path.name for path in (root / split).iterdir()
        )
    assert table(root / "train.csv")["label"].value_counts().to_dict() == FEW
    assert set(table(root / "solution.csv")["label"]) == set(FEW)
    assert set(table(root / "sample_submission.csv")["label"]) == {"red_circle"}


def test_no_image_is_there_twice(root):
    sums = [hashlib.sha256(path.read_bytes()).digest() for path in root.rglob("*.png")]
    assert len(set(sums)) == len(sums) == 6 * (1 + demo.TEST_TIMES)


def test_the_model_loads_and_tells_prompts_apart(root):
    clip = load_clip(str(root / "clip"), torch.device("cpu"))
    assert clip.size_px == SIDE_PX
    prompts = [f"a photo of a {readable(label)}." for label in demo.COUNTS]
    assert clip.of_texts(prompts).shape == (len(prompts), clip.model.config.projection_dim)
    text = clip.model.config.text_config
    assert text.eos_token_id == text.pad_token_id == clip.tokenizer.eos_token_id == text.vocab_size - 1
    assert text.bos_token_id == clip.tokenizer.bos_token_id
    assert text.max_position_embeddings == clip.tokenizer.model_max_length == CONTEXT
    assert len(clip.tokenizer(prompts[0])["input_ids"]) < CONTEXT / 2


@given(st.text(max_size=80))
def test_any_text_is_tokenized_whole(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    assert ids[0] == begin
    assert ids[-1] == end
    assert not {begin, end} & set(ids[1:-1])
    assert end == len(tokenizer) - 1
    assert bool(text) <= (len(ids) > 2)


def test_known_words_are_one_token_and_unknown_ones_differ(tokenizer):
    assert len(tokenizer("a photo of a red circle.")["input_ids"]) == 2 + 7
    assert tokenizer("A Photo")["input_ids"] == tokenizer("a photo")["input_ids"]
    assert tokenizer("a puma")["input_ids"] != tokenizer("a lynx")["input_ids"]


def test_images_of_one_name_share_the_answer():
    logits = torch.tensor([[9.0, 0], [9.0, 0], [0, 9.0]])
    assert contrast(logits, torch.tensor([0, 0, 1])) < 0.5
    assert contrast(logits, torch.tensor([0, 1, 1])) > 2
    even = torch.zeros(3, 2)
    expected = (np.log(2) + np.log(3)) / 2
    assert contrast(even, torch.tensor([0, 0, 1])).item() == pytest.approx(expected)


def test_a_model_learns_and_is_the_same_each_time(tmp_path):
    rng = np.random.default_rng(0)
    names = ["red ring", "blue cross"] * 40
    images = np.stack([np.asarray(draw(*name.split(), PLAIN, rng)) for name in names])
    random = torch.get_rng_state()
    folders = [write_tiny_clip(tmp_path / place, images, names, steps=20) for place in ("one", "two")]
    assert torch.equal(random, torch.get_rng_state())
    for path in folders[0].iterdir():
        assert path.read_bytes() == (folders[1] / path.name).read_bytes(), path.name
    clip = load_clip(str(folders[0]), torch.device("cpu"))
    likeness = clip.of_images(iter(images)) @ clip.of_texts(names[:2]).T
    assert (likeness.argmax(dim=1) == torch.arange(80) % 2).float().mean() > 0.9


def test_the_demo_is_the_same_each_time(root, tmp_path):
    assert_same_files(root, written(tmp_path / "again"))


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CompError, match="is not empty"):
        demo.write_demo(ImageConfig(data={"root": str(tmp_path)}))
