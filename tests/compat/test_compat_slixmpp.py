"""slixmpp, against a small XMPP server that stands here: StartTLS, SASL PLAIN, binding, two clients that write to each other."""

import asyncio
import base64
import contextlib
import xml.etree.ElementTree as ET

from tests.compat.harness import NATIVE, authority, cells, program, server_tls

slixmpp = program("slixmpp")

DOMAIN = "netstack.test"
STREAM = "{http://etherx.jabber.org/streams}stream"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
CLIENT = "jabber:client"
OPEN = (
    f"<?xml version='1.0'?><stream:stream from='{DOMAIN}' id='1' version='1.0'"
    f" xmlns='{CLIENT}' xmlns:stream='http://etherx.jabber.org/streams'>"
)
FEATURES = {
    "fresh": f"<starttls xmlns='{TLS}'><required/></starttls>",
    "encrypted": f"<mechanisms xmlns='{SASL}'><mechanism>PLAIN</mechanism></mechanisms>",
    "known": f"<bind xmlns='{BIND}'/>",
}


class Room:
    """The server: RFC 6120 as far as one login goes, and messages from one client to another (RFC 6121)."""

    def __init__(self, tls):
        self.tls = tls
        self.writers = {}
        self.tasks = set()

    async def attend(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        try:
            for state in ("fresh", "encrypted"):
                async for stanza in self.stream(reader, writer, state):
                    if stanza.tag == f"{{{TLS}}}starttls":
                        writer.write(f"<proceed xmlns='{TLS}'/>".encode())
                        await writer.start_tls(self.tls)
                        break
                    if stanza.tag == f"{{{SASL}}}auth":
                        _, name, password = base64.b64decode(stanza.text).split(b"\0")
                        assert password == b"secret of " + name
                        writer.write(f"<success xmlns='{SASL}'/>".encode())
                        break
                else:
                    return
            async for stanza in self.stream(reader, writer, "known"):
                self.answer(stanza, f"{name.decode()}@{DOMAIN}", writer)
            writer.write(b"</stream:stream>")
        except ConnectionError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def stream(self, reader, writer, state):
        """Open a stream, and give its stanzas until its end."""
        parser = ET.XMLPullParser(("start", "end"))
        depth = 0
        while data := await reader.read(4096):
            parser.feed(data)
            for event, element in parser.read_events():
                if event == "start":
                    depth += 1
                    if element.tag == STREAM:
                        writer.write(f"{OPEN}<stream:features>{FEATURES[state]}</stream:features>".encode())
                else:
                    depth -= 1
                    if depth == 0:
                        return
                    if depth == 1:
                        yield element

    def answer(self, stanza, sender, writer):
        if stanza.tag == f"{{{CLIENT}}}iq":
            if stanza.find(f"{{{BIND}}}bind") is not None:
                self.writers[sender] = writer
                body = f"<bind xmlns='{BIND}'><jid>{sender}/here</jid></bind>"
            else:
                body = ""
            writer.write(f"<iq type='result' id='{stanza.get('id')}'>{body}</iq>".encode())
        elif stanza.tag == f"{{{CLIENT}}}message":
            peer = stanza.get("to").partition("/")[0]
            body = stanza.findtext(f"{{{CLIENT}}}body")
            message = f"<message type='chat' from='{sender}/here' to='{peer}'><body>{body}</body></message>"
            self.writers[peer].write(message.encode())


@contextlib.asynccontextmanager
async def serve(host):
    room = Room(server_tls())
    server = await asyncio.start_server(room.attend, host, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*room.tasks)


async def login(name, host, port, trusted):
    client = slixmpp.ClientXMPP(f"{name}@{DOMAIN}", f"secret of {name}", sasl_mech="PLAIN")
    client.ca_certs = trusted
    client.enable_direct_tls = False
    bound = asyncio.get_running_loop().create_future()
    client.add_event_handler("session_start", lambda event: bound.done() or bound.set_result(None))
    for problem in ("failed_auth", "connection_failed", "ssl_invalid_chain"):
        client.add_event_handler(problem, lambda event: bound.done() or bound.set_exception(ConnectionError(str(event))))
    client.connect(host, port)
    await bound
    assert client.transport.get_extra_info("ssl_object").version() in ("TLSv1.2", "TLSv1.3")
    return client


async def ask(host, port, trusted):
    ann = await login("ann", host, port, trusted)
    ben = await login("ben", host, port, trusted)
    heard = asyncio.get_running_loop().create_future()
    ben.add_event_handler("message", lambda message: message.reply("I am here").send())
    ann.add_event_handler("message", lambda message: heard.set_result((str(message["from"]), message["body"])))
    ann.send_message(mto=f"ben@{DOMAIN}", mbody="are you there?" * 500, mtype="chat")
    assert await heard == (f"ben@{DOMAIN}/here", "I am here")
    for client in (ann, ben):
        await client.disconnect()


@cells("slixmpp", "starttls", "StartTLS, SASL, binding, messages between two clients", way=NATIVE, taps=("client",))
def test_starttls(where, tmp_path):
    trusted = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(trusted)
    where.run(serve, lambda host, port: ask(host, port, trusted))
