"""Only pixels decide whether a picture is read: strange tags and wrong checksums beside them do not."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from comp.vision.data.metadata import IMAGE_FACTS, read_metadata
from comp.vision.pixels.image_file import BadImage, decode, image_size

RED, BLUE = (200, 30, 60), (20, 40, 220)
ORIENTATION = (0x0112, 3, 1, struct.pack("<HH", 6, 0))  # the camera was turned


def picture(size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Red with a blue right half."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """EXIF of entries (tag, type, count, value)."""
    start, body, data = 8 + 2 + 12 * len(entries) + 4, b"", b""
    for tag, kind, count, value in entries:
        place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", start + len(data))
        body += struct.pack("<HHI", tag, kind, count) + place
        data += value if len(value) > 4 else b""
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", 0) + data


STRANGE_TAGS = {
    "resolution as text": (0x011A, 2, 4, b"72\0\0"),
    "negative resolution": (0x011A, 10, 1, struct.pack("<ii", -72, 1)),
    "resolution of 0/0": (0x011A, 5, 1, struct.pack("<II", 0, 0)),
    "resolution NaN": (0x011A, 11, 1, struct.pack("<f", float("nan"))),
    "width as a fraction": (0x0100, 11, 1, struct.pack("<f", 1.5)),
    "maker as numbers": (0x010F, 4, 2, struct.pack("<II", 1, 2**32 - 1)),
    "exif of nowhere": (0x8769, 4, 1, struct.pack("<I", 2**31)),
    "gps as text": (0x8825, 2, 4, b"abc\0"),
}


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("name", STRANGE_TAGS)
def test_a_strange_tag_is_passed_over_and_the_turn_is_read(name, suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    picture().save(path, exif=exif(*sorted([STRANGE_TAGS[name], ORIENTATION])), quality=95)
    pixels = decode(path, short_side_px=16)
    assert pixels.shape[0] > pixels.shape[1]
    np.testing.assert_allclose(pixels[2, 8], RED, atol=12)
    np.testing.assert_allclose(pixels[-3, 8], BLUE, atol=12)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_turn_that_there_is_not_is_none(value, tmp_path):
    picture().save(tmp_path / "a.jpg", exif=exif((0x0112, 3, 1, struct.pack("<HH", value, 0))))
    assert decode(tmp_path / "a.jpg").shape == (32, 48, 3)


@pytest.mark.parametrize("block", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nothing of the kind"])
def test_exif_that_is_damaged_is_none(block, tmp_path):
    picture().save(tmp_path / "a.jpg", exif=block)
    assert decode(tmp_path / "a.jpg").shape == (32, 48, 3)


def png(*extra: bytes, after: bool = False) -> bytes:
    """A PNG with chunks before or after its pixels."""
    plain = io.BytesIO()
    picture().save(plain, "PNG")
    data = plain.getvalue()
    place = data.index(b"IEND" if after else b"IDAT") - 4
    return data[:place] + b"".join(extra) + data[place:]


def chunk(name: bytes, content: bytes, right: bool = True) -> bytes:
    checksum = zlib.crc32(name + content) ^ (0 if right else 1)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"tEXt", b"Comment\0abc", right=False),
        chunk(b"iCCP", b"profile\0\0nothing"),
        chunk(b"pHYs", b"\0\0", right=False),
        chunk(b"gAMA", b""),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**26))),
        chunk(b"eXIf", b"II*", right=False),
        chunk(b"prVt", b"anything", right=False),
    ],
    ids=lambda extra: extra[4:8].decode(),
)
def test_a_png_is_read_whatever_its_ancillary_chunks_hold(extra, after, tmp_path):
    (tmp_path / "a.png").write_bytes(png(extra, after=after))
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), np.asarray(picture()))
    assert image_size(tmp_path / "a.png") == (48, 32)


def test_the_transparency_of_a_png_with_a_damaged_comment_is_kept(tmp_path):
    image = Image.new("P", (2, 1), 1)
    image.putpalette([0, 0, 0, *RED])
    image.putpixel((0, 0), 0)
    plain = io.BytesIO()
    image.save(plain, "PNG", transparency=0)
    data = plain.getvalue()
    place = data.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(data[:place] + chunk(b"tEXt", b"a\0b", right=False) + data[place:])
    assert decode(tmp_path / "a.png", (1, 2, 3)).tolist() == [[[1, 2, 3], list(RED)]]


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [
        (282, 11, struct.pack("<f", float("nan"))),
        (282, 2, b"72\0\0"),
        (296, 2, b"cm\0\0"),
        (34665, 4, struct.pack("<I", 2**31)),
        (700, 1, b"\xff\xff\xff\xff"),
        (270, 4, struct.pack("<I", 7)),
    ],
)
def test_a_tiff_is_read_whatever_its_other_tags_hold(tag, kind, value, compression, tmp_path):
    plain = io.BytesIO()
    picture().save(plain, "TIFF", compression=compression, resolution=72, resolution_unit=3)
    data = bytearray(plain.getvalue())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = {struct.unpack_from("<H", data, start + 2 + 12 * n)[0]: start + 2 + 12 * n for n in range(count)}
    place = entries.get(tag, entries[283])
    struct.pack_into("<HHI", data, place, tag, kind, {2: 4, 1: 4}.get(kind, 1))
    data[place + 8 : place + 12] = value
    (tmp_path / "a.tif").write_bytes(data)
    np.testing.assert_array_equal(decode(tmp_path / "a.tif"), np.asarray(picture()))


def test_a_jpeg_is_read_whatever_applications_wrote_into_it(tmp_path):
    plain = io.BytesIO()
    picture().save(plain, "JPEG", quality=95)
    for name in (b"MPF\0II*\0\xff\xff\xff\xff", b"Photoshop 3.0\0" + b"8BIM" * 9, b"ICC_PROFILE\0"):
        for marker in (0xE2, 0xED, 0xFE):
            segment = bytes([0xFF, marker]) + struct.pack(">H", len(name) + 2) + name
            (tmp_path / "a.jpg").write_bytes(plain.getvalue()[:2] + segment + plain.getvalue()[2:])
            assert decode(tmp_path / "a.jpg").shape == (32, 48, 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".gif", ".bmp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_stays_bad(suffix, share, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"a{suffix}")
    data = (tmp_path / f"a{suffix}").read_bytes()
    (tmp_path / f"a{suffix}").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BadImage, match=rf"a\{suffix}: ."):
        decode(tmp_path / f"a{suffix}")


def test_pixels_with_a_wrong_checksum_stay_bad(tmp_path):
    data = bytearray(png(chunk(b"tEXt", b"a\0b", right=False)))
    data[data.index(b"IHDR") + 16] ^= 1  # of its checksum
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(BadImage, match=r"a\.png"):
        decode(tmp_path / "a.png")


def test_metadata_of_the_image_is_read_in_spite_of_what_stands_beside_it(tmp_path):
    import pandas as pd

    (tmp_path / "a.png").write_bytes(png(chunk(b"tEXt", b"a\0b", right=False)))
    found = read_metadata(pd.DataFrame({"path": [str(tmp_path / "a.png")]}), list(IMAGE_FACTS), "train")
    assert found.to_numpy().tolist() == [[32, 48, 0]]
