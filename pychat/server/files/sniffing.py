"""The type of a file, from its first bytes."""

from __future__ import annotations

from typing import Final

from pychat.protocol import UNKNOWN_TYPE

ENOUGH: Final = 512
"""So many first bytes are enough."""

_STARTS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"OggS\0", "application/ogg"),
    (b"ID3", "audio/mpeg"),
)
_BRANDS: Final = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"isom": "video/mp4",
    b"iso2": "video/mp4",
    b"iso4": "video/mp4",
    b"iso5": "video/mp4",
    b"iso6": "video/mp4",
    b"mp41": "video/mp4",
    b"mp42": "video/mp4",
    b"avc1": "video/mp4",
    b"dash": "video/mp4",
    b"M4V ": "video/mp4",
    b"M4A ": "video/mp4",
}


def sniffed(start: bytes) -> str:
    """Return the type if it is a picture, video or sound that is safe to show; else
    UNKNOWN_TYPE."""
    for magic, mime in _STARTS:
        if start.startswith(magic):
            return mime
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12], UNKNOWN_TYPE)
    if start[:4] == b"\x1a\x45\xdf\xa3" and b"\x42\x82\x84webm" in start[:64]:
        return "video/webm"
    # A frame of MPEG layer 3 without tags: sync bits, and values that are not reserved.
    if len(start) > 2 and start[0] == 0xFF and start[1] & 0xFE in (0xFA, 0xF2):
        rate, frequency = start[2] >> 4, start[2] >> 2 & 3
        if rate not in (0, 15) and frequency != 3:
            return "audio/mpeg"
    return UNKNOWN_TYPE
