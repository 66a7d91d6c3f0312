"""Certificates for names whose TLS is opened on its way: an authority that guests trust, and a leaf for each name.

    authority = Authority.make()                       # or Authority.load("ca.pem", "ca.key")
    policy.intercept(authority)
    Path("guest/ca.pem").write_bytes(authority.certificate)

Who has the authority's key can be anybody to these guests: keep it with the router, or make a new one each time.

Leaves are made when a name is first met, with keys of their own that never leave this process, and kept up to a bound: a context of
OpenSSL for each.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import ssl
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UsageError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

DAY = 86400
EARLY = DAY  # before now: clocks of guests are late, and those of machines just booted later still
LEAF = 30 * DAY
ROOT = 3650 * DAY


class Authority:
    """Raises UsageError where the library `cryptography` is missing, or the pair can't be used. `wall` is time in seconds."""

    def __init__(self, certificate: bytes, key: bytes, *, certificates: int = 256, wall: Callable[[], float] = time.time) -> None:
        _need_cryptography()
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            self._root = x509.load_pem_x509_certificate(certificate)
            self._key: Any = load_pem_private_key(key, None)
        except (ValueError, TypeError) as error:
            raise UsageError(f"this is no certificate with its key, both in PEM and the key without a password: {error}") from None
        if self._key.public_key() != self._root.public_key():
            raise UsageError("the key is not that of the certificate")
        try:
            can_sign = self._root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            can_sign = False
        if not can_sign:
            raise UsageError("this certificate is not an authority's: it needs the constraint CA, as `openssl req -x509` makes it")
        self._wall = wall
        self._bound = certificates
        self._leaves: OrderedDict[str, tuple[ssl.SSLContext, float]] = OrderedDict()
        self.made = 0

    @classmethod
    def make(cls, name: str = "netstack router", **more: Any) -> Authority:
        """A new one, whose key is nowhere else."""
        _need_cryptography()
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        built = (
            _builder(key.public_key(), subject, subject, more.get("wall", time.time)(), ROOT)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .sign(key, _sha256())
        )
        return cls(_pem(built), _key_pem(key), **more)

    @classmethod
    def load(cls, certificate: str, key: str, **more: Any) -> Authority:
        """From files in PEM. Raises UsageError."""
        try:
            return cls(Path(certificate).read_bytes(), Path(key).read_bytes(), **more)
        except OSError as error:
            raise UsageError(f"{error.filename} can't be read: {error.strerror}") from None

    @property
    def certificate(self) -> bytes:
        """What guests must trust, in PEM."""
        return _pem(self._root)

    def save(self, certificate: str, key: str) -> None:
        """Into files; that of the key is for its owner alone."""
        Path(certificate).write_bytes(self.certificate)
        descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(_key_pem(self._key))

    def context_for(self, name: str) -> ssl.SSLContext:
        """To be the server called `name`, which is canonical. It speaks HTTP/1.1 alone."""
        now = self._wall()
        kept = self._leaves.get(name)
        if kept is not None and now < kept[1]:
            self._leaves.move_to_end(name)
            return kept[0]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        _load(context, self._leaf(name, now))
        self._leaves[name] = context, now + LEAF / 2
        self._leaves.move_to_end(name)
        if len(self._leaves) > self._bound:
            self._leaves.popitem(last=False)
        self.made += 1
        return context

    def _leaf(self, name: str, now: float) -> bytes:
        """Key and certificates, in PEM."""
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID

        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)] if len(name) <= 64 else [])
        built = (
            _builder(key.public_key(), subject, self._root.subject, now, LEAF)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=len(name) > 64)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, _sha256())
        )
        return _key_pem(key) + _pem(built) + self.certificate


def _builder(
    key: ec.EllipticCurvePublicKey, subject: x509.Name, issuer: x509.Name, now: float, seconds: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    moment = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .public_key(key)
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - datetime.timedelta(seconds=EARLY))
        .not_valid_after(moment + datetime.timedelta(seconds=seconds))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(**yes: bool) -> x509.KeyUsage:
    from cryptography import x509

    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
    no = dict.fromkeys([*names.split(), "encipher_only", "decipher_only"], False)
    return x509.KeyUsage(**{**no, **yes})


def _sha256() -> Any:
    from cryptography.hazmat.primitives.hashes import SHA256

    return SHA256()


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def _load(context: ssl.SSLContext, chain: bytes) -> None:
    """OpenSSL reads from files alone: one in memory where there is such a thing, and /proc."""
    with contextlib.suppress(OSError, AttributeError):
        descriptor = os.memfd_create("leaf")
        try:
            os.write(descriptor, chain)
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
            return
        finally:
            os.close(descriptor)
    for folder in (None, "."):  # who has given up his files stands in the one folder that is left
        with (
            contextlib.suppress(OSError),
            tempfile.NamedTemporaryFile(dir=folder) as file,
        ):  # its owner's alone, and gone in a moment
            file.write(chain)
            file.flush()
            context.load_cert_chain(os.path.abspath(file.name))
            return
    raise UsageError("a certificate can't be handed to OpenSSL: there is neither /proc nor a folder to write to")


def _need_cryptography() -> None:
    """All of it, now: a router may give up its files later."""
    try:
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: F401
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: F401
        from cryptography.x509 import oid  # noqa: F401
    except ImportError:
        raise UsageError(
            "certificates are made by the library cryptography, which is not installed: pip install cryptography"
        ) from None
