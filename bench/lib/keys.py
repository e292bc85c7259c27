"""Keys made from their number, by the same formula as the load generator's src/keys.rs."""

import hashlib

# The load generator takes wrong keys from here on.
WRONG_FROM = 1 << 40
# Keys that are added while under load; in no table before.
ADDED_FROM = 1 << 32


def key(number: int) -> str:
    scattered = ((number * 0x9E3779B97F4A7C15) & (2**64 - 1)) >> 32
    return f"sk-{number:012x}{scattered:08x}"


def key_sha256(number: int) -> str:
    return hashlib.sha256(key(number).encode()).hexdigest()
