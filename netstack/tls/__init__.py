"""TLS 1.2 and 1.3 over any StreamStack: our TCP, the kernel's sockets, whatever has connections. By the standard library's `ssl`.

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("server.pem")
    secure = Tls(net, context)                              # a StreamStack again: everything that runs on one runs on it
    server = HttpServer(secure, hello, clock=net.now)
    await server.listen(443)

    stream = await Tls(net).connect_stream("server.example", 443)   # with the system's authorities

ALPN, SNI, client certificates, versions and ciphers are set where programs set them already: in the ssl.SSLContext. Its
`sni_callback` works as it is. A stream tells what came of it: `version`, `cipher`, `selected_alpn_protocol`, `peer_certificate`,
`server_name`.

**Handshake.** It is over before `connect_stream` returns and before a handler runs. On the accepting side it has a time limit, and
handshakes under way have a bound (config.py); those that fail are counted (`Tls.mib`) and told to the logger `netstack.tls` at
level DEBUG, and nobody else hears of them. With TLS 1.3 a client that lacks a certificate learns so from its first `receive`, as
the server speaks last.

**Errors.** `TlsError` is a BrokenError and an ssl.SSLError, `CertificateError` also an ssl.SSLCertVerificationError,
`TruncatedError` also an ssl.SSLEOFError (errors.py). All else is raised as the stream below raises it.

**The end.** A peer ends his side with close_notify: `receive` gives b"". A connection that ends without it was cut, perhaps by
somebody who wanted to: TruncatedError, unless `TlsConfig(truncation=False)`. `send_eof` sends close_notify and the end of the
stream below, and what the peer still sends can be read: RFC 8446 6.1 allows it, and OpenSSL does it in TLS 1.2 too, where the
standard had the peer answer at once; asyncio's peers close when they see it. `aclose` sends close_notify, if it wasn't, and closes;
it doesn't wait for the peer's. `abort` sends nothing: the peer sees a cut.

**Cancellation.** A cancelled or timed-out `receive` loses nothing. What a cancelled or timed-out `send_all` was given counts as
sent, all of it, as everywhere: the rest is handed down at once. `aclose` while another task is sending cuts what that one has not
handed down yet, and the peer sees a cut.

**Memory.** On its way in, one piece from the stream below and one record; on its way out, 64 KiB beyond what the stream below
has taken, or all that a call was given that was given up. A connection that has said nothing yet costs no TLS.

Pure, bytes in and bytes out:

    errors config mib       what goes wrong, what may be told, what is counted
    hello                   the name that a client asks for
    engine                  one end of a connection

Faces, which wait (their clock and events come from runtime/waits.py, of asyncio or of trio):

    stream                  one TLS stream
    stack                   Tls, the StreamStack

What asyncio's own `ssl=` does on our transports is not this but the standard library's: runtime/asynciotls.py.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import TlsConfig as TlsConfig
    from .errors import CertificateError as CertificateError
    from .errors import TlsError as TlsError
    from .errors import TruncatedError as TruncatedError
    from .mib import TlsMib as TlsMib
    from .stack import Tls as Tls
    from .stream import TlsStream as TlsStream

_WHERE = {
    "TlsConfig": "config",
    "CertificateError": "errors",
    "TlsError": "errors",
    "TruncatedError": "errors",
    "TlsMib": "mib",
    "Tls": "stack",
    "TlsStream": "stream",
}
__all__ = list(_WHERE)

if not TYPE_CHECKING:  # or every misspelt name would be an `object` to the checker

    def __getattr__(name: str) -> object:
        if name not in _WHERE:
            raise AttributeError(f"module 'netstack.tls' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"netstack.tls.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
