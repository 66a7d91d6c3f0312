"""Counters of TLS."""

from ..counters import Group


class TlsMib(Group):
    MEANING = {
        "Handshakes": "handshakes completed, on either side",
        "HandshakeErrors": "handshakes that failed: garbage, an alert, nothing in common",
        "HandshakeCertificates": "handshakes that failed because of the peer's certificate",
        "HandshakeTimeouts": "handshakes that took too long",
        "HandshakesDropped": "handshakes ended because too many were under way, the oldest first",
        "HandshakesLost": "connections that ended before their handshake did",
        "Silent": "connections that were accepted and ended without a byte",
        "Truncated": "streams that ended without close_notify",
        "Broken": "streams broken after the handshake: a record that was changed, an alert",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.Handshakes = 0
        self.HandshakeErrors = 0
        self.HandshakeCertificates = 0
        self.HandshakeTimeouts = 0
        self.HandshakesDropped = 0
        self.HandshakesLost = 0
        self.Silent = 0
        self.Truncated = 0
        self.Broken = 0
