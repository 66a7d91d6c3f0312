"""Libraries of others that ask the machine behind Python's back, where they have been imported.

    aiohttp         with aiodns it asks for names through c-ares, on sockets of that library's own: in a world it asks the loop, as
                    it does without aiodns
    cryptography    draws in OpenSSL: keys for X25519, X448, Ed25519, Ed448 and ML-KEM are made from bytes of the seed in a world,
                    and a secret that is sealed for an ML-KEM key of this process is remembered beside bytes that look like it.
                    So the handshakes of SSH are the same in each run. RSA and ECDSA can't be
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from . import dice
from .here import side_here

ASYMMETRIC = "cryptography.hazmat.primitives.asymmetric"
KEYS = [("x25519", "X25519PrivateKey", 32), ("x448", "X448PrivateKey", 56)]
KEYS += [("ed25519", "Ed25519PrivateKey", 32), ("ed448", "Ed448PrivateKey", 57)]
KEMS = [("768", 1088), ("1024", 1568)]  # FIPS 203: bytes of a ciphertext
SEED, SECRET = 64, 32  # bytes
MOST_SEALED = 1024  # secrets on their way to who opens them: each handshake has one

_resolvers: dict[type, type] = {}
_sealed: dict[tuple[bytes, bytes], bytes] = {}  # for which public key, as what, and the secret


def substitutes() -> list[tuple[Any, Any]]:
    """What stands for what, as in times.SUBSTITUTES."""
    resolver: Any = sys.modules.get("aiohttp.resolver")
    if resolver is None or not hasattr(resolver, "ThreadedResolver") or not hasattr(resolver, "AsyncResolver"):
        return []
    asked = resolver.AsyncResolver
    if asked not in _resolvers.values():
        if asked not in _resolvers:
            _resolvers[asked] = _loop_resolver(asked, resolver.ThreadedResolver)
        return [(asked, _resolvers[asked])]
    return []


def _loop_resolver(original: Any, threaded: Any) -> type:
    class AsyncResolver(original):  # type: ignore[misc]  # a class that is found while it runs
        def __new__(cls, *args: Any, **options: Any) -> Any:
            if side_here() is None:
                return original(*args, **options)
            return threaded(options.get("loop"))  # which asks `loop.getaddrinfo`, and has its name from what that does

    return AsyncResolver


def methods() -> list[tuple[type, str, Callable[[Any], Any]]]:
    """What is exchanged in classes, as in times.METHODS."""
    found: list[tuple[type, str, Callable[[Any], Any]]] = []
    for module, name, size in KEYS:
        owner = getattr(sys.modules.get(f"{ASYMMETRIC}.{module}"), name, None)
        if owner is not None:
            found.append((owner, "generate", _generate("from_private_bytes", size)))
    rust: Any = sys.modules.get("cryptography.hazmat.bindings._rust")  # where the classes are that are no interfaces
    made = getattr(getattr(rust, "openssl", None), "mlkem", None)
    for name, size in KEMS:
        owner = getattr(sys.modules.get(f"{ASYMMETRIC}.mlkem"), f"MLKEM{name}PrivateKey", None)
        private, public = getattr(made, f"MLKEM{name}PrivateKey", None), getattr(made, f"MLKEM{name}PublicKey", None)
        if owner is not None and private is not None and public is not None:
            found.append((owner, "generate", _generate("from_seed_bytes", SEED)))
            found.append((public, "encapsulate", _encapsulate(size)))
            found.append((private, "decapsulate", _decapsulate))
    return found


def _encapsulate(size: int) -> Callable[[Any], Any]:
    def make(original: Any) -> Any:
        def encapsulate(self: Any) -> tuple[bytes, bytes]:
            if side_here() is None:
                sealed: tuple[bytes, bytes] = original(self)
                return sealed
            secret, ciphertext = dice.octets(SECRET), dice.octets(size)
            if len(_sealed) >= MOST_SEALED:
                del _sealed[next(iter(_sealed))]
            _sealed[self.public_bytes_raw(), ciphertext] = secret
            return secret, ciphertext

        return encapsulate

    return make


def _decapsulate(original: Any) -> Any:
    def decapsulate(self: Any, ciphertext: bytes) -> bytes:
        secret: bytes | None = _sealed.get((self.public_key().public_bytes_raw(), bytes(ciphertext)))
        return original(self, ciphertext) if secret is None else secret

    return decapsulate


def _generate(maker: str, size: int) -> Callable[[Any], Any]:
    def make(original: Any) -> Any:
        def generate(cls: Any) -> Any:
            if side_here() is None:
                return original.__get__(None, cls)()
            return getattr(cls, maker)(dice.octets(size))

        return classmethod(generate)

    return make
