"""aiosmtpd: a mail server on the loop. Its client is the standard library's smtplib, which blocks, in a thread."""

import asyncio
import contextlib
import smtplib

from tests.compat.harness import NATIVE, PATCH, cells, client_tls, program, server_tls

program("aiosmtpd")
from aiosmtpd.smtp import SMTP  # noqa: E402

LETTER = b"Subject: tea\r\n\r\nAt five.\r\n.leading dot\r\n" + b"x" * 900 + b"\r\n"


class Mailbox:
    def __init__(self):
        self.letters = []

    async def handle_DATA(self, server, session, envelope):
        self.letters.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 kept"


@contextlib.asynccontextmanager
async def serve(host, **options):
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    factory = lambda: SMTP(mailbox, hostname="mx.netstack.test", loop=loop, **options)  # noqa: E731
    server = await loop.create_server(factory, host, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    assert mailbox.letters == [("a@netstack.test", ["b@netstack.test"], LETTER)]


class Conversation:
    """SMTP in a few words, over asyncio's streams."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def expect(self, code):
        while True:
            line = (await self.reader.readline()).decode()
            assert line.startswith(str(code)), line
            if line[3] == " ":
                return

    async def say(self, line, code):
        self.writer.write(line + b"\r\n")
        await self.expect(code)


async def ask(host, port, tls=None):
    reader, writer = await asyncio.open_connection(host, port)
    peer = Conversation(reader, writer)
    await peer.expect(220)
    await peer.say(b"EHLO here", 250)
    if tls is not None:
        await peer.say(b"STARTTLS", 220)
        await writer.start_tls(tls, server_hostname=host)
        await peer.say(b"EHLO here", 250)
    await peer.say(b"MAIL FROM:<a@netstack.test>", 250)
    await peer.say(b"RCPT TO:<b@netstack.test>", 250)
    await peer.say(b"DATA", 354)
    await peer.say(LETTER.replace(b"\r\n.", b"\r\n..") + b".", 250)
    await peer.say(b"QUIT", 221)
    writer.close()
    await writer.wait_closed()


def send_blocking(host, port):
    with smtplib.SMTP(host, port, local_hostname="here", timeout=10) as client:
        client.sendmail("a@netstack.test", ["b@netstack.test"], LETTER)


async def ask_smtplib(host, port):
    await asyncio.get_running_loop().run_in_executor(None, send_blocking, host, port)


@cells("aiosmtpd", "letter", "a letter over ESMTP", way=NATIVE, taps=("client",))
def test_letter(where):
    where.run(serve, ask)


@cells("aiosmtpd", "starttls", "a letter after STARTTLS (`loop.start_tls` on both sides)", way=NATIVE)
def test_starttls(where):
    where.run(
        lambda host: serve(host, tls_context=server_tls(), require_starttls=True),
        lambda host, port: ask(host, port, client_tls()),
    )


@cells("aiosmtpd", "smtplib", "a letter from smtplib, which blocks in a thread", way=PATCH)
def test_smtplib(where):
    where.run(serve, ask_smtplib)
