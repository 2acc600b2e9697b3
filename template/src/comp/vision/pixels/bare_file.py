"""Image files without what stands beside their pixels: a strange tag or a wrong checksum there spoils no picture.

What is kept decides how pixels are read: sizes, tables, transparency, and the tag that says how the camera was held.
"""

import struct
import zlib

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
PNG_KEPT = {b"tRNS", b"eXIf"}  # of the ancillary chunks, if their checksum is right; readers discard them if not
ORIENTATION, SHORT = 0x0112, 3
TIFF_KEPT = {
    *(256, 257, 258, 259, 262, 266, ORIENTATION, 277, 284, 317, 320, 338, 339),  # sizes, bits, compression, colors
    *(273, 278, 279, 322, 323, 324, 325),  # strips and tiles
    *(332, 334, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532),  # inks, JPEG, YCbCr
}


def without_metadata(data: bytes, turned: bool = True) -> bytes | None:
    """The file `data` with its pixels alone, if it is a PNG, JPEG or TIFF; None if it is not, or is cut off.

    `turned`: with the tag that says how the camera was held.
    """
    try:
        if data.startswith(PNG):
            return PNG + b"".join(_png_chunks(data, PNG_KEPT if turned else PNG_KEPT - {b"eXIf"}))
        if data.startswith(JPEG):
            return JPEG + b"".join(_jpeg_segments(data, turned))
        if data[:4] in {b"II*\0", b"MM\0*"}:
            return _tiff(data, TIFF_KEPT if turned else TIFF_KEPT - {ORIENTATION})
    except (struct.error, IndexError):
        pass
    return None


def _png_chunks(data: bytes, ancillary: set[bytes]) -> list[bytes]:
    chunks, place = [], len(PNG)
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        chunk = data[place : place + length + 12]
        name, right = chunk[4:8], zlib.crc32(chunk[4:-4]).to_bytes(4, "big") == chunk[-4:]
        critical = not name[0] & 0x20
        if critical or (name in ancillary and right):
            chunks.append(chunk)
        if name == b"IEND":
            break
        place += length + 12
    return chunks


def _jpeg_segments(data: bytes, turned: bool) -> list[bytes]:
    """Those up to the scan, without comments and what applications wrote, but for EXIF, JFIF and Adobe's colors."""
    segments, place = [], len(JPEG)
    while data[place + 1] != 0xDA:
        if data[place + 1] == 0xFF:  # a byte that fills
            place += 1
            continue
        marker, (length,) = data[place + 1], struct.unpack_from(">H", data, place + 2)
        segment = data[place : place + length + 2]
        foreign = marker == 0xFE or (0xE0 <= marker <= 0xEF and marker not in {0xE0, 0xEE})
        if not foreign or (turned and segment[4:10] == b"Exif\0\0"):
            segments.append(segment)
        place += length + 2
    return [*segments, data[place:]]


def _tiff(data: bytes, tags: set[int]) -> bytes:
    """Of its first picture."""
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    entries = [data[start + 2 + 12 * number : start + 14 + 12 * number] for number in range(count)]
    kept = []
    for entry in entries:
        tag, kind = struct.unpack_from(order + "HH", entry)
        if tag in tags and (tag != ORIENTATION or kind == SHORT):
            kept.append(entry)
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept) + bytes(4)  # no next picture
    return data[:start] + directory + data[start + len(directory) :]
