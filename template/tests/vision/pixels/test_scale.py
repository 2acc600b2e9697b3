"""Values that are not 8 bits wide: one scale for the whole competition, and nothing that is no number turns black."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from vision.small import SMALL

from comp.config import load_config
from comp.errors import CompError
from comp.runs.rundir import RunDir
from comp.vision.data.competition import open_competition
from comp.vision.data.settle import settled
from comp.vision.pixels import Decoding
from comp.vision.pixels.image_file import BadImage, decode
from comp.vision.pixels.numbers import Values
from comp.vision.pixels.scale import decided, scale_of

FIELD = np.linspace(0, 1, 32 * 32).reshape(32, 32)


def saved(folder: Path, name: str, values: np.ndarray) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(folder / name)
    return str(folder / name)


def series(folder: Path, low: float, high: float, kind: type, suffix: str = ".tif") -> list[str]:
    """Ten images whose values go from `low` to a different height each, at last to `high`."""
    heights = [low + (high - low) * share for share in np.linspace(0.1, 1, 10)]
    return [
        saved(folder, f"{number}{suffix}", (low + (height - low) * FIELD).astype(kind))
        for number, height in enumerate(heights)
    ]


@pytest.mark.parametrize(
    ("low", "high", "kind", "scale"),
    [
        (0, 255, np.uint8, "8-bit"),
        (0, 65535, np.uint16, "16-bit"),
        (100, 40000, np.uint16, "16-bit"),
        (0, 4095, np.uint16, (0, 4095)),
        (7, 3000, np.uint16, (0, 4095)),
        (0, 200, np.uint16, (0, 255)),
        (0, 10000, np.int32, (0, 16383)),
        (-1024, 3071, np.int32, (-1024, 3071)),
        (0, 200000, np.int32, (0, 200000)),
        (0, 1, np.float32, "unit"),
        (0.1, 0.4, np.float32, "unit"),
        (0, 255, np.float32, (0, 255)),
        (-2, 5, np.float32, (-2, 5)),
    ],
)
def test_the_training_images_decide_the_scale(low, high, kind, scale, tmp_path):
    found, note = decided(series(tmp_path, low, high, kind))
    assert found == (scale if isinstance(scale, str) else pytest.approx(scale))
    assert note.startswith("scale   ")


@pytest.mark.parametrize(("low", "high", "kind"), [(0, 4095, np.uint16), (-1024, 3071, np.int32), (-2, 5, np.float32)])
def test_equal_values_are_equally_bright_in_all_images(low, high, kind, tmp_path):
    paths = series(tmp_path, low, high, kind)
    values = Values(decided(paths)[0])
    brightest = [int(decode(Path(path), values=values).max()) for path in paths]
    assert brightest == pytest.approx([255 * share for share in np.linspace(0.1, 1, 10)], abs=1)


def test_the_order_of_the_rows_decides_nothing(tmp_path):
    paths = series(tmp_path, -2, 5, np.float32)
    assert scale_of(paths, tmp_path / "a.json") == scale_of(paths[::-1], tmp_path / "b.json")


def test_the_scale_is_remembered_until_a_file_changes(tmp_path, monkeypatch):
    paths, memory = series(tmp_path / "images", 0, 1, np.float32), tmp_path / "scale.json"
    first = scale_of(paths, memory)
    with monkeypatch.context() as patch:
        patch.setattr("comp.vision.pixels.scale.decided", None)  # whoever decides now, fails
        assert scale_of(paths, memory) == first
    saved(tmp_path / "images", "0.tif", (FIELD * 9 - 2).astype(np.float32))
    assert scale_of(paths, memory)[0] == pytest.approx((-2, 7))
    memory.write_text("[]")
    assert scale_of(paths, memory)[0] == pytest.approx((-2, 7))


def test_several_kinds_of_numbers_are_asked_about(tmp_path):
    paths = [*series(tmp_path / "a", 0, 1, np.float32), *series(tmp_path / "b", 0, 60000, np.uint16)]
    with pytest.raises(CompError, match=r"several kinds of numbers \(.*float.*16-bit.*\): set 'data\.scale"):
        decided(paths)


def test_8_bit_images_among_deep_ones_stay_as_they_are(tmp_path):
    paths = [*series(tmp_path / "a", 0, 4095, np.uint16), *series(tmp_path / "b", 0, 255, np.uint8)]
    scale, _ = decided(paths)
    assert scale == (0, 4095)
    assert decode(Path(paths[-1]), values=Values(scale)).max() == 255


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_an_image_with_values_that_are_no_numbers_is_bad_and_named(hole, tmp_path):
    values = FIELD.astype(np.float32)
    values[:2, :2] = hole
    path = Path(saved(tmp_path, "holed.tif", values))
    with pytest.raises(BadImage, match=r"holed\.tif: 4 of 1024 values are NaN or infinite \(data\.fill_nan"):
        decode(path, values=Values("unit"))
    filled = decode(path, values=Values("unit", fill_nan=1.0))
    assert (filled[:2, :2] == 255).all()
    np.testing.assert_allclose(filled[5, 5], 255 * FIELD[5, 5], atol=1)


def test_holes_do_not_decide_the_scale_and_are_told(tmp_path):
    values = (FIELD * 9 - 2).astype(np.float32)
    values[0, 0], values[0, 1] = np.nan, np.inf
    scale, note = decided([saved(tmp_path, "a.tif", values)])
    assert scale == pytest.approx((-2, 7), abs=0.02)
    assert "NaN or infinite values in 1 of them, such as " in note
    assert "data.fill_nan" in note


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (FIELD.astype(np.float32), "8-bit"),
        (FIELD.astype(np.float32), "16-bit"),
        ((FIELD * 60000).astype(np.uint16), "8-bit"),
        ((FIELD * 60000).astype(np.uint16), "unit"),
    ],
)
def test_an_image_of_other_numbers_than_the_scale_is_for_is_bad_and_not_black(values, scale, tmp_path):
    with pytest.raises(BadImage, match=rf"a\.tif: a .* image does not fit data\.scale={scale}: set 'data\.scale"):
        decode(Path(saved(tmp_path, "a.tif", values)), values=Values(scale))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colors_of_16_bits_keep_what_pil_drops(suffix, tmp_path):
    colors = np.stack([FIELD * 4095, FIELD * 2000, 4095 - FIELD * 4095], axis=2).round().astype(np.uint16)
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), colors[..., ::-1])
    assert np.asarray(Image.open(path)).max() == 4095 >> 8  # PIL: nearly black
    assert decided([str(path)])[0] == (0, 4095)
    expected = np.rint(colors / 4095 * 255)
    np.testing.assert_allclose(decode(path, values=Values((0, 4095))), expected, atol=1)
    np.testing.assert_allclose(decode(path), np.rint(colors / 257), atol=0)


def test_colors_of_16_bits_keep_their_transparency(tmp_path):
    layer = np.zeros((4, 4, 4), np.uint16)
    layer[..., 2], layer[:2, :, 3] = 4095, 65535  # BGRA: red, the lower half transparent
    cv2.imwrite(str(tmp_path / "a.png"), layer)
    pixels = decode(tmp_path / "a.png", (1, 2, 3), values=Values((0, 4095)))
    assert pixels[0, 0].tolist() == [255, 0, 0]
    assert pixels[3, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("mode", ["RGB", "I;16"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_deep_image_stands_as_its_exif_says(mode, suffix, tmp_path):
    values = np.zeros((6, 10), np.uint16)
    values[0, 0] = 65535
    path, exif = tmp_path / f"a{suffix}", Image.Exif()
    exif[0x0112] = 6
    if mode == "RGB":
        cv2.imwrite(str(path), np.repeat(values[..., None], 3, axis=2))
        with_exif(path)
    else:
        Image.fromarray(values).save(path, exif=exif)
    pixels = decode(path)
    assert pixels.shape == (10, 6, 3)
    assert pixels[0, 5].tolist() == [255, 255, 255]


def with_exif(path: Path) -> None:
    """Turns the file at `path` by its tag, without reading its pixels."""
    import struct
    import zlib

    data = path.read_bytes()
    if path.suffix == ".png":
        block = b"eXIfII*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, 6, 0)
        chunk = struct.pack(">I", len(block) - 4) + block + struct.pack(">I", zlib.crc32(block))
        path.write_bytes(data[:33] + chunk + data[33:])  # after IHDR
        return
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = [data[start + 2 + 12 * n : start + 14 + 12 * n] for n in range(count)]
    entries = [entry for entry in entries if struct.unpack_from("<H", entry)[0] != 0x0112]
    entries.append(struct.pack("<HHII", 0x0112, 3, 1, 6))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    path.write_bytes(data[:4] + struct.pack("<I", len(data)) + data[8:] + directory)


@pytest.mark.parametrize("text", ["7-bit", "[1]", "[5, 5]", "[9, 1]", "[0, .inf]", "[0, .nan]"])
def test_a_scale_that_is_none_is_refused(text, tmp_path):
    (tmp_path / "a.yaml").write_text(f"task: {SMALL['task']}\nname: a\ndata: {{scale: {text}}}\n")
    with pytest.raises(CompError, match=r"data\.scale"):
        load_config(tmp_path / "a.yaml")


def floats(competition: Path, high: float) -> None:
    """The small competition's images as floats from 0 to `high`, in the files that its tables name."""
    for path in sorted(competition.glob("t*/*.png")):
        gray = np.asarray(Image.open(path).convert("L")).astype(np.float32) / 255 * high
        Image.fromarray(gray).save(path.with_suffix(".tif"))
        path.unlink()


def test_a_run_reads_other_images_as_it_read_its_own(competition, configure, comp):
    floats(competition, high=5)
    config = configure()
    out = comp("split")[1]
    assert "scale   [" in out
    assert "36 floating-point images" in out
    assert comp("train")[0] == 0
    run = RunDir.of(config)
    kept = run.trained_config()
    assert kept.data.scale == settled(config).data.scale
    assert kept.data.scale[1] < 5
    assert comp("train")[0] == 0  # the settled configuration is the same one
    before = pd.read_parquet(run.test)
    for path in (competition / "train").iterdir():  # elsewhere, with other training images of other brightness
        if path.stem != "0000":
            Image.fromarray(np.asarray(Image.open(path)) * 100).save(path)
    assert settled(config).data.scale != kept.data.scale
    assert comp("predict")[0] == 0
    after = pd.read_parquet(run.test)
    np.testing.assert_allclose(after.iloc[:, 1:].to_numpy(float), before.iloc[:, 1:].to_numpy(float), atol=1e-6)
    status, _, err = comp("train")
    assert (status, err.count("\n")) == (1, 1)
    assert "data.scale was" in err


def test_a_cache_is_of_one_scale(competition, configure):
    floats(competition, high=1)
    keys = {
        Decoding.of(configure(data=data)).key
        for data in ({"scale": "unit"}, {"scale": [0, 2]}, {"scale": "unit", "fill_nan": 0.0})
    }
    assert len(keys) == 3


def test_a_test_image_of_a_kind_that_training_has_not_is_named(competition, configure, comp):
    path = next((competition / "test").iterdir())
    Image.fromarray(np.full((20, 20), 40000, np.uint16)).save(path)
    configure()
    assert comp("split")[0] == 0
    status, _, err = comp("train")
    assert (status, err.count("\n")) == (1, 1)
    assert path.name in err
    assert "data.scale" in err


@pytest.mark.parametrize("rule", ["error", "drop"])
def test_a_holed_image_is_an_unreadable_one(rule, competition, configure, comp):
    floats(competition, high=1)
    holed = np.full((20, 18), np.nan, np.float32)
    Image.fromarray(holed).save(competition / "train" / "0003.tif")
    config = configure(data={"on_bad_image": rule})
    assert "0003.tif" in comp("split")[1]
    status, out, err = comp("train")
    assert status == (1 if rule == "error" else 0)
    assert "0003.tif: 360 of 360 values are NaN or infinite" in (err if rule == "error" else out)
    if rule == "drop":
        trained, validated = open_competition(config, quiet=True).rows(0)
        assert 3 not in {*trained, *validated}
