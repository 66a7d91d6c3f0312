"""Certificates of an authority that nobody trusts but us, made once, and contexts of them."""

from __future__ import annotations

import datetime
import functools
import ssl

import trustme

HOST = "server.example"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@functools.cache
def authority(name: str) -> trustme.CA:
    return trustme.CA(organization_name=name)


@functools.cache
def certificate(*names: str, issuer: str = "ours", expired: bool = False) -> trustme.LeafCert:
    past = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC) if expired else None
    return authority(issuer).issue_cert(*names, not_before=past and past - datetime.timedelta(days=9), not_after=past)


def pinned(context: ssl.SSLContext, version: str | None) -> ssl.SSLContext:
    if version is not None:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    return context


NAMES = (HOST, "10.0.0.2", "127.0.0.1")


def server_context(
    version: str | None = None, *, names: tuple[str, ...] = NAMES, expired: bool = False, ask: bool = False
) -> ssl.SSLContext:
    """`ask` for a certificate of the client's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate(*names, expired=expired).configure_cert(context)
    if ask:
        authority("ours").configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return pinned(context, version)


def client_context(version: str | None = None, *, trust: str = "ours", own: str | None = None) -> ssl.SSLContext:
    """`own` is who the client says he is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority(trust).configure_trust(context)
    if own is not None:
        certificate(own).configure_cert(context)
    return pinned(context, version)
