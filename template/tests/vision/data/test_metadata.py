"""Metadata: encoders know the training rows only, gaps are marked, and a network can do without."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from comp.errors import CompError
from comp.vision.data.metadata import MetadataEncoder, read_metadata
from comp.vision.model.metadata_branch import MetadataBranch

TRAIN = pd.DataFrame({"age": ["10", "20", "30", ""], "place": ["a", "b", "", "a"], "code": ["007", "8", "x", "9"]})


def test_numbers_are_standardized_by_the_training_rows_and_gaps_are_marked():
    encoder = MetadataEncoder.fitted(TRAIN[["age"]])
    encoded = encoder.encode(pd.DataFrame({"age": ["20", "NA", "1000"]}))
    assert encoded[:, 1].tolist() == [0, 1, 0]
    assert encoded[0, 0] == 0
    assert encoded[1, 0] == 0
    assert encoded[2, 0] == pytest.approx((1000 - 20) / np.std([10, 20, 30]))


def test_a_category_that_training_never_saw_is_unknown_like_a_missing_one():
    encoder = MetadataEncoder.fitted(TRAIN[["place"]])
    assert encoder.category_sizes == [3]
    assert encoder.encode(pd.DataFrame({"place": ["a", "b", "never seen", ""]}))[:, 0].tolist() == [1, 2, 0, 0]


def test_numbers_stand_before_categories_and_a_column_with_a_word_in_it_is_a_category():
    encoder = MetadataEncoder.fitted(TRAIN)
    assert encoder.n_numbers == 2
    assert encoder.category_sizes == [3, 5]
    assert encoder.encode(TRAIN).shape == (4, 4)


def test_an_encoder_from_a_checkpoint_encodes_the_same():
    encoder = MetadataEncoder.fitted(TRAIN)
    again = MetadataEncoder.from_facts(encoder.facts())
    np.testing.assert_array_equal(again.encode(TRAIN), encoder.encode(TRAIN))


@pytest.mark.parametrize("values", [["5"] * 2, ["0"] * 2, ["0.1"] * 1000, ["0.3", "0.30000000000000004"]])
def test_a_constant_column_has_no_spread(values):
    encoder = MetadataEncoder.fitted(pd.DataFrame({"same": values}))
    assert encoder.columns[0].std == 1
    assert np.abs(encoder.encode(pd.DataFrame({"same": [*values, "6"]}))).max() <= 6


def test_a_spread_that_is_small_beside_the_numbers_is_one():
    nanoseconds = pd.DataFrame({"taken": ["1700000000000000000", "1700000001000000000"]})
    assert MetadataEncoder.fitted(nanoseconds).encode(nanoseconds)[:, 0].tolist() == [-1, 1]


def test_size_and_alpha_are_read_from_the_files(tmp_path):
    Image.new("RGBA", (7, 5)).save(tmp_path / "a.png")
    Image.new("RGB", (4, 9)).save(tmp_path / "b.jpg")
    (tmp_path / "c.png").write_bytes(b"no image")
    table = pd.DataFrame({"path": [str(tmp_path / name) for name in ("a.png", "b.jpg", "c.png")], "width": "1"})
    found = read_metadata(table, ["height", "has_alpha", "width"], "train")
    assert found["height"].tolist()[:2] == [5, 9]
    assert found["has_alpha"].tolist()[:2] == [1, 0]
    assert found["width"].tolist() == ["1"] * 3  # the table's own column
    assert MetadataEncoder.fitted(found).encode(found)[2].tolist()[:4] == [0, 1, 0, 1]  # height and alpha are missing


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(CompError, match=r"model\.metadata names 'agee': no such column in the test table"):
        read_metadata(TRAIN, ["agee"], "test")


def test_modality_dropout_teaches_a_network_to_do_without():
    torch.manual_seed(0)
    branch = MetadataBranch(2, [3], hidden=8, drop=0.5).train()
    metadata = torch.tensor([[1.0, 0.0, 2.0]]).repeat(400, 1)
    with torch.no_grad():
        branch.unknown.fill_(7.0)
        share = (branch(metadata, 400) == 7).all(dim=1).float().mean()
        assert 0.4 < share < 0.6
        assert not (branch.eval()(metadata, 400) == 7).any()
        assert (branch(None, 5) == 7).all()
        assert branch(None, 5).shape == (5, 8)
