"""A logo, known by what is in the file and never by what it calls itself. SVG is none: it can carry scripts."""

import struct

from core.errors import InvalidInput

LARGEST = 100_000
LEAST, MOST = 16, 1024
"""Bytes of the file, and pixels of each side."""
_PNG, _SOI = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG's markers of a frame, which hold its size."""


def check(content: bytes) -> str:
    """The media type. Raises InvalidInput (`logo`) for what is no PNG, JPEG or WebP of a sensible size."""
    if len(content) > LARGEST:
        raise InvalidInput(field="logo", why=f"it is larger than {LARGEST // 1000} kilobytes")
    try:
        kind, (width, height) = _read(content)
    except (struct.error, IndexError):
        raise InvalidInput(field="logo", why="the picture is damaged") from None
    if not (LEAST <= width <= MOST and LEAST <= height <= MOST):
        raise InvalidInput(
            field="logo", why=f"it has {width} x {height} pixels; {LEAST} to {MOST} a side are accepted"
        )
    return kind


def _read(content: bytes) -> tuple[str, tuple[int, int]]:
    if content.startswith(_PNG) and content[12:16] == b"IHDR":
        return "image/png", struct.unpack(">II", content[16:24])
    if content.startswith(_SOI):
        return "image/jpeg", _jpeg(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp", _webp(content)
    raise InvalidInput(field="logo", why="it is no PNG, JPEG or WebP picture")


def _jpeg(content: bytes) -> tuple[int, int]:
    place = 2
    while content[place] == 0xFF:
        marker, length = content[place + 1], struct.unpack(">H", content[place + 2 : place + 4])[0]
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", content[place + 5 : place + 9])
            return width, height
        place += 2 + max(length, 2)
    raise IndexError


def _webp(content: bytes) -> tuple[int, int]:
    form, data = content[12:16], content[20:]
    if form == b"VP8X":
        return int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1
    if form == b"VP8L" and data[0] == 0x2F:
        bits = int.from_bytes(data[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", data[6:10])
        return width & 0x3FFF, height & 0x3FFF
    raise IndexError
