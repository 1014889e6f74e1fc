"""Coverage-guided fuzzing of the parsers: ``pip install atheris``, then
``python -m tests.server.engine.fuzz_parsers -max_total_time=60`` from the project's folder.
"""

from __future__ import annotations

import contextlib
import sys

import atheris  # type: ignore[import-not-found]  # wanted only by whoever runs this

with atheris.instrument_imports():
    from pychat.server.engine.codec.packet import (
        MalformedPacket,
        read_base64,
        read_event,
        read_packet,
    )
    from pychat.server.engine.codec.payload import DecoderV3, decode_jsonp, decode_v4
    from pychat.server.engine.polling.head import Reader


def attempt(data: bytes) -> None:
    """Every parser on the same input; only MalformedPacket may come of it."""
    decoder = DecoderV3()
    for decode in (decode_v4, decoder.text, decoder.binary, decode_jsonp):
        with contextlib.suppress(MalformedPacket):
            list(decode(data))
    Reader(lambda origin, host: b"").read(data, data.find(b"\r\n\r\n"))
    text = data.decode("utf-8", "ignore")
    for read in (read_packet, read_event):
        with contextlib.suppress(MalformedPacket):
            read(text)
    for protocol in (3, 4):
        with contextlib.suppress(MalformedPacket):
            read_base64(text, protocol)


if __name__ == "__main__":
    atheris.Setup(sys.argv, attempt)
    atheris.Fuzz()
