"""Answers compressed with gzip where clients want it (RFC 9110 §12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from isal import isal_zlib
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

PARTIAL = re.compile(r"/async/[^/]+/(results|uploads)/|^/download/")


def wants_gzip(scope: Scope) -> bool:
    """Whether a client takes gzip, by its header Accept-Encoding."""
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            for coding in value.decode("latin-1").lower().split(","):
                words = coding.replace(" ", "").split(";")
                if words[0] in ("gzip", "x-gzip"):
                    return not any(word.startswith("q=") and not word[2:].strip("0.") for word in words[1:])
    return False


def gzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, compressed as they come. ISA-L's level 1 costs a twentieth of zlib's (docs/performance.md)."""
    packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()


class Compression(GZipMiddleware):
    """Compresses what clients want compressed, but not files of which they may ask for parts."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Not wanted, Starlette's layer would still read the headers of every answer and write them anew.
        whole = scope["type"] == "http" and wants_gzip(scope) and not PARTIAL.search(scope["path"])
        await (super().__call__ if whole else self.app)(scope, receive, send)
