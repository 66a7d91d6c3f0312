"""aioquic, client and server: QUIC over our datagrams. The client's socket is AF_INET6 and sends to v4-mapped addresses."""

import asyncio
import contextlib

from tests.compat.harness import BOUND_CLIENT, authority, cells, certificate, program

program("aioquic")
from aioquic.asyncio import connect  # noqa: E402
from aioquic.asyncio import serve as serve_quic  # noqa: E402
from aioquic.quic.configuration import QuicConfiguration  # noqa: E402

LARGE = bytes(range(256)) * 1024


@contextlib.asynccontextmanager
async def serve(host, folder, retry=False):
    chain, key = folder / "chain.pem", folder / "key.pem"
    certificate().private_key_pem.write_to_path(key)
    chain.write_bytes(b"".join(pem.bytes() for pem in certificate().cert_chain_pems))
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["echo"])
    configuration.load_cert_chain(chain, key)
    tasks = set()

    def attend(reader, writer):
        tasks.add(asyncio.ensure_future(echo(reader, writer)))

    server = await serve_quic(host, 0, configuration=configuration, stream_handler=attend, retry=retry)
    try:
        yield server._transport.get_extra_info("sockname")[1]
    finally:
        server.close()
        await asyncio.gather(*tasks, return_exceptions=True)


async def echo(reader, writer):
    writer.write(await reader.read())
    writer.write_eof()


async def ask(host, port):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["echo"], server_name="netstack.test")
    configuration.load_verify_locations(cadata=authority().cert_pem.bytes())
    async with connect(host, port, configuration=configuration) as client:
        await client.ping()
        readers = []
        for number in range(3):
            reader, writer = await client.create_stream()
            writer.write(LARGE[: len(LARGE) >> number])
            writer.write_eof()
            readers.append(reader)
        for number, reader in enumerate(readers):
            assert await reader.read() == LARGE[: len(LARGE) >> number]


@cells("aioquic", "streams", "QUIC: the handshake, three streams, up to 256 KiB each", way=BOUND_CLIENT, taps=("server", "client"))
def test_streams(where, tmp_path):
    where.run(lambda host: serve(host, tmp_path), ask)


@cells("aioquic", "retry", "the same after a Retry (address validation)", way=BOUND_CLIENT)
def test_retry(where, tmp_path):
    where.run(lambda host: serve(host, tmp_path, retry=True), ask)
