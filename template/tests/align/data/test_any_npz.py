"""Any bytes as an npz: pairs, or a line."""

import io
import zipfile

import numpy as np
import pytest
from align.small import SMALL, arrays, write
from hypothesis import given
from hypothesis import strategies as st
from support import configure, damaged, gives_a_result_or_a_line

from comp.align.data.npz import Archive
from comp.align.data.pairs import read_pairs
from comp.align.data.sample_submission import read_form

SHAPES = st.lists(st.integers(-2, 70) | st.integers(), max_size=3).map(tuple)
TYPES = st.sampled_from(
    [
        "'<f4'",
        "'<f2'",
        "'|O'",
        "'|b1'",
        "'<c16'",
        "'<i8'",
        "'<U3'",
        "'|S0'",
        "'|V0'",
        "'<M8[s]'",
        "[('a', '<f4')]",
        "7",
        "x",
    ]
)
NAMES = sorted(arrays()[0])


@pytest.fixture
def data(repo):
    write(repo / "data", *arrays(), packed=True)
    return repo / "data"


def small_npz(packed: bool) -> bytes:
    file = io.BytesIO()
    save = np.savez_compressed if packed else np.savez
    save(file, **{"captions/embeddings": np.ones((3, 2), np.float32), "captions/ids": np.array(["a", "b", "c"])})
    return file.getvalue()


@given(damaged(small_npz(True), small_npz(False)))
def test_any_archive(repo, content):
    (repo / "any.npz").write_bytes(content)

    def read() -> None:
        archive = Archive(repo / "any.npz")
        for name in ("captions/embeddings", "captions/ids"):
            if name in archive:
                gives_a_result_or_a_line(lambda name=name: np.array(archive.read(name)))
                gives_a_result_or_a_line(lambda name=name: list(archive.chunks(name)))
                gives_a_result_or_a_line(lambda name=name: archive.texts(name))

    gives_a_result_or_a_line(read)


@given(st.sampled_from(NAMES), TYPES, SHAPES, st.booleans(), st.binary(max_size=200), st.booleans())
def test_any_header_of_any_array(data, name, kind, shape, fortran, body, packed):
    header = f"{{'descr': {kind}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body
    with zipfile.ZipFile(data / "train.npz") as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(data / "other.npz", "w", how) as archive:
        for each, content in {**members, f"{name}.npy": member}.items():
            archive.writestr(each, content)
    config = configure(SMALL, data={"train": "other.npz"})
    gives_a_result_or_a_line(lambda: read_pairs(config))


@given(
    st.sampled_from(NAMES),
    st.sampled_from([bool, np.int8, np.uint64, np.float16, np.float64, complex, "U4", "S4", "M8[s]", "V4"]),
    st.sampled_from([0, 1, 59, 60, 300]),
    st.lists(st.sampled_from([0, 1, 2, 12, 60]), max_size=2),
    st.integers(0, 2**32),
)
def test_any_values_of_any_array(data, name, kind, rows, others, seed):
    ours, tests, images = arrays()
    shape = (rows, *others)
    size = np.dtype(kind).itemsize * int(np.prod(shape))
    ours[name] = np.frombuffer(np.random.default_rng(seed).bytes(size), np.uint8).view(kind).reshape(shape)
    write(data, ours, tests, images)
    gives_a_result_or_a_line(lambda: read_pairs(configure(SMALL)))


@given(damaged(b'id,embedding\na,"[0.0, 1.0]"\nb,"[1.5, -2e3]"\n', b"id,e0,e1\na,0,1\nb,2,3\n"))
def test_any_sample(data, content):
    (data / "sample_submission.csv").write_bytes(content)
    gives_a_result_or_a_line(lambda: read_form(configure(SMALL).data))
