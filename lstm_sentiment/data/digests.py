"""Digests of texts, which are equal for equal texts."""

import hashlib

DIGEST_SIZE = 16


def text_digest(text: str) -> bytes:
    """Return the BLAKE2b digest of a text, 16 bytes; lone surrogates are allowed."""
    content = text.encode(errors="surrogatepass")
    return hashlib.blake2b(content, digest_size=DIGEST_SIZE).digest()
