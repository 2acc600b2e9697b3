"""DICOM: what a viewer shows, by one rule for all files; what is not read is said in a line."""

import builtins
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from comp.errors import CompError
from comp.vision.data.read import read_tables
from comp.vision.pixels.image_file import BadImage, decode, image_size
from comp.vision.pixels.scale import decided
from comp.vision.schema import Data

VALUES = np.array([[0, 100, 1000], [2000, 3000, 4095]], np.uint16)


@pytest.fixture
def dicom(tmp_path):
    """`dicom(VALUES, WindowCenter=…)` writes a file of 12 bits and gives its path."""
    pydicom = pytest.importorskip("pydicom")

    def write(values=VALUES, name="1.dcm", **elements):
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = pydicom.uid.generate_uid()
        dataset.Rows, dataset.Columns = values.shape[:2]
        dataset.SamplesPerPixel = 3 if values.ndim == 3 else 1
        dataset.PhotometricInterpretation = "RGB" if values.ndim == 3 else "MONOCHROME2"
        dataset.BitsAllocated = values.dtype.itemsize * 8
        dataset.BitsStored = 12 if values.dtype.itemsize == 2 else 8
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(values.dtype.kind == "i")
        if values.ndim == 3:
            dataset.PlanarConfiguration = 0
        for element, value in elements.items():
            setattr(dataset, element, value)
        dataset.PixelData = values.tobytes()
        path = tmp_path / name
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)
        return path

    return write


def gray(path):
    pixels = decode(path)
    assert pixels.dtype == np.uint8
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0].tolist()


def of(low, high, values=VALUES):
    return np.clip(np.rint((values.astype(float) - low) * 255 / (high - low)), 0, 255).astype(int).tolist()


def test_without_a_window_all_values_are_shown(dicom):
    path = dicom()
    assert gray(path) == of(0, 4095)
    assert image_size(path) == (3, 2)
    assert decided([str(path)])[0] == "8-bit"


def test_the_first_window_is_of_rescaled_values(dicom):
    windows = {"WindowCenter": [1000, 50], "WindowWidth": [2001, 400]}
    assert gray(dicom(**windows)) == of(-0.5, 1999.5)
    assert gray(dicom(WindowCenter=500, WindowWidth=1000, VOILUTFunction="LINEAR_EXACT")) == of(0, 1000)
    rescaled = dicom(WindowCenter=0.5, WindowWidth=2001, RescaleSlope=2, RescaleIntercept=-1000)
    assert gray(rescaled) == of(-1000, 1000, VALUES * 2.0 - 1000)
    (low, *_), (_, _, high) = gray(dicom(WindowCenter=2000, WindowWidth=1000, VOILUTFunction="SIGMOID"))
    assert (low, high) == (0, 255)


def test_signed_values_and_inverted_ones(dicom):
    signed = np.array([[-2048, 0, 2047]], np.int16)
    assert gray(dicom(signed)) == of(-2048, 2047, signed)
    inverted = [[255 - value for value in row] for row in of(0, 4095)]
    assert gray(dicom(PhotometricInterpretation="MONOCHROME1")) == inverted


def test_a_look_up_table_is_followed(dicom):
    pydicom = pytest.importorskip("pydicom")
    table = pydicom.Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 8])
    table.add_new("LUTData", "US", [value // 16 for value in reversed(range(4096))])
    path = dicom(VOILUTSequence=[table])
    assert gray(path) == [[(4095 - value) // 16 for value in row] for row in VALUES.tolist()]


def test_colors_stay(dicom):
    colors = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    assert np.array_equal(decode(dicom(colors)), colors)


def test_what_is_not_read_is_said_in_a_line(dicom, tmp_path):
    frames = dicom(np.zeros((2, 3), np.uint16), NumberOfFrames=2)
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(dicom(name="2.dcm").read_bytes()[:-4])
    text = tmp_path / "text.dcm"
    text.write_text("no image")
    for path, words in (
        (frames, "with 2 frames"),
        (cut, "cut.dcm: "),
        (text, "without pixels"),
        (Path("no.dcm"), "No"),
    ):
        with pytest.raises(BadImage, match=words) as refused:
            decode(path)
        assert "\n" not in str(refused.value)


def test_a_compression_that_is_not_read_leads_to_decoders(dicom):
    pydicom = pytest.importorskip("pydicom")
    path = dicom()
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xf7"])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLosslessSV1
    dataset.save_as(path)
    with pytest.raises(BadImage, match="compression needs a decoder: pip install pylibjpeg"):
        decode(path)


def test_a_competition_of_dicom_files_is_found(dicom, repo):
    for name in ("a", "b", "c"):
        path = repo / "data" / ("test" if name == "c" else "train") / f"{name}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(dicom(), path)
    pd.DataFrame({"id": ["a", "b"], "label": ["yes", "no"]}).to_csv(repo / "data/train.csv", index=False)
    tables = read_tables(Data())
    assert [gray(Path(path)) for path in tables.train["path"]] == [of(0, 4095)] * 2
    assert list(tables.test["id"]) == ["c.dcm"]


def test_without_pydicom_the_line_says_how_to_get_it(tmp_path, monkeypatch):
    path = tmp_path / "1.dcm"
    path.write_bytes(b"any")
    known = builtins.__import__

    def without(name, *others):
        if name.partition(".")[0] == "pydicom":
            raise ImportError(name)
        return known(name, *others)

    monkeypatch.setattr(builtins, "__import__", without)
    for read in (decode, image_size):
        with pytest.raises(CompError, match=r"1\.dcm is a DICOM file, which pydicom reads: pip install pydicom"):
            read(path)
