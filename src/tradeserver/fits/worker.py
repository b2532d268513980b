"""The fits process: questions on standard input, answers on standard output, until the input ends.

A message is four bytes of length, big-endian, and msgpack: (number, name, series) in, (number, values) out. An
exception in a question answers {}: the asker treats it as no answer, and trades nothing on it.
"""

from __future__ import annotations

import sys
from typing import BinaryIO

import msgspec

Question = tuple[int, str, tuple[tuple[float, ...], ...]]
Reply = tuple[int, dict[str, float]]

_questions: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def frame(message: Question | Reply) -> bytes:
    """One message as it travels."""
    data = msgspec.msgpack.encode(message)
    return len(data).to_bytes(4, "big") + data


def reply(data: bytes) -> Reply:
    """The worker's answer without its length. Raises msgspec.DecodeError."""
    return _replies.decode(data)


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until end of file."""
    from tradeserver.fits.compute import answer

    while len(head := source.read(4)) == 4:
        number, name, series = _questions.decode(source.read(int.from_bytes(head, "big")))
        try:
            values = answer(name, series)
        except Exception as error:  # numpy's and statsmodels' are many, and all mean the same here
            print(f"fits: {name}: {type(error).__name__}: {error}", file=sys.stderr)
            values = {}
        sink.write(frame((number, values)))
        sink.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
