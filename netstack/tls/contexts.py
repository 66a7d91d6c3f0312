"""Contexts for clients, from what programs and users say about trust."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from ..errors import UsageError


def client_context(
    alpn: Sequence[str] = (),
    *,
    verify: bool = True,
    ca_file: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
) -> ssl.SSLContext:
    """Trust in what the system trusts, or in the certificates of `ca_file` alone, or, without `verify`, in everybody. `alpn` is
    what is offered (RFC 7301), `certificate` our own. Raises UsageError for files that can't be used."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{ca_file} holds no certificates that can be trusted: {error.strerror or error}") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"{certificate} is no certificate with its key: {error.strerror or error}") from None
    return context
