"""Digests of texts and of names, which are equal for equal texts."""

import hashlib

DIGEST_SIZE = 16
GROUP_ID_SIZE = 8


def text_digest(text: str) -> bytes:
    """Return the BLAKE2b digest of a text, 16 bytes; lone surrogates are allowed."""
    content = text.encode(errors="surrogatepass")
    return hashlib.blake2b(content, digest_size=DIGEST_SIZE).digest()


def group_id(name: str) -> bytes:
    """Return the number of a group by its name: an int64 in little endian, which predictions have.

    It is the beginning of the SHA-256 of the name. Runs, folds and machines therefore agree on it,
    and predictions contain no names.
    """
    return hashlib.sha256(name.encode(errors="surrogatepass")).digest()[:GROUP_ID_SIZE]
