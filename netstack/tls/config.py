"""What a `Tls` may be told beside its contexts."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import ge, gt

from ..instant import SECOND, Duration


@frozen
class TlsConfig:
    """handshake_timeout   for the whole handshake. Two round trips; 30 s leave room for four lost flights (1 + 2 + 4 + 8 s), and
                        end strangers that open and say nothing
    handshakes          under way at once on the accepting side. Each holds some 60 KiB in OpenSSL, 60 MiB together. When they are
                        more, the oldest is dropped: a flood must replace all of them within two round trips of an honest client
    truncation          is the end of a connection without close_notify an error (TruncatedError), or an end like another? Many
                        HTTP/1 peers leave without; where the messages tell their own length, nothing is lost by not minding
    """

    handshake_timeout: Duration = field(default=Duration(30 * SECOND), validator=gt(Duration(0)))
    handshakes: int = field(default=1024, validator=ge(1))
    truncation: bool = field(default=True)
