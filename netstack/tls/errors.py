"""What goes wrong in TLS: in the one exception tree, and what programs that know the standard library's `ssl` already catch.

    TlsError            BrokenError and ssl.SSLError: garbage, an alert of the peer, nothing in common, a record that was changed
    CertificateError    … and ssl.SSLCertVerificationError: unknown issuer, expired, another name
    TruncatedError      … and ssl.SSLEOFError: the connection ended without close_notify

`__cause__` is the ssl.SSLError as OpenSSL told it, where there is one; `reason`, `library`, `verify_code` and
`verify_message` are its.
"""

from __future__ import annotations

import errno
import ssl
from typing import TypeVar

from ..errors import BrokenError

E = TypeVar("E", bound="TlsError")


class TlsError(BrokenError, ssl.SSLError):
    """TLS is broken on this stream."""

    reason: str
    library: str

    def __init__(self, message: str, number: int = errno.EPROTO) -> None:
        super().__init__(number, message)
        self.reason = self.library = ""

    @classmethod
    def told(cls: type[E], message: str, error: OSError) -> E:
        """What OpenSSL told, in the middle of `message`."""
        made = cls(f"{message}: {error.strerror or error}")
        made.reason = getattr(error, "reason", None) or ""
        made.library = getattr(error, "library", None) or ""
        made.__cause__ = error
        return made


class CertificateError(TlsError, ssl.SSLCertVerificationError):
    """The peer's certificate is not one to trust."""

    verify_code: int
    verify_message: str

    def __init__(self, message: str, number: int = errno.EPROTO) -> None:
        super().__init__(message, number)
        self.verify_code = 0
        self.verify_message = ""

    @classmethod
    def told(cls, message: str, error: OSError) -> CertificateError:
        made = super().told(message, error)
        made.verify_code = getattr(error, "verify_code", 0)
        made.verify_message = getattr(error, "verify_message", "")
        return made


class TruncatedError(TlsError, ssl.SSLEOFError):
    """The connection ended without close_notify: by a fault, or by somebody who wanted to cut what was said (RFC 8446 6.1)."""
