"""asyncssh, client and server: a command, files by SFTP, and a forwarded port."""

import asyncio
import contextlib

from tests.compat.harness import ADOPTED, LOCAL, NATIVE, cells, program

asyncssh = program("asyncssh")

KEYS = {}


def key(name):
    """A key pair of this run; made once, since the matrix asks often."""
    if name not in KEYS:
        KEYS[name] = asyncssh.generate_private_key("ssh-ed25519")
    return KEYS[name]


class Door(asyncssh.SSHServer):
    """Lets `guest` in by the guest's key, and forward wherever."""

    def begin_auth(self, username):
        return True

    def public_key_auth_supported(self):
        return True

    def validate_public_key(self, username, offered):
        return username == "guest" and offered == key("guest").convert_to_public()

    def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
        return True

    def server_requested(self, listen_host, listen_port):
        return True


async def shell(process):
    """`upper` gives its input back in capitals; anything else is repeated, and ends with status 3."""
    if process.command == "upper":
        async for line in process.stdin:
            process.stdout.write(line.upper())
        process.exit(0)
    else:
        process.stdout.write(f"you said {process.command}\n")
        process.stderr.write("and I did not understand\n")
        process.exit(3)


@contextlib.asynccontextmanager
async def serve(host, root=None):
    sftp = (lambda channel: asyncssh.SFTPServer(channel, chroot=str(root).encode())) if root else None
    listener = await asyncssh.listen(
        host, 0, server_factory=Door, server_host_keys=[key("host")], process_factory=shell, sftp_factory=sftp
    )
    async with listener:
        yield listener.get_port()


def connect(host, port):
    known = asyncssh.import_known_hosts(f"[{host}]:{port} {key('host').export_public_key().decode()}")
    options = {"username": "guest", "client_keys": [key("guest")], "known_hosts": known, "config": None, "agent_path": None}
    return asyncssh.connect(host, port, **options)


async def ask_exec(host, port):
    async with connect(host, port) as connection:
        done = await connection.run("make tea")
        assert (done.exit_status, done.stdout, done.stderr) == (3, "you said make tea\n", "and I did not understand\n")
        text = "".join(f"line {n}\n" for n in range(5000))
        done = await connection.run("upper", input=text)
        assert (done.exit_status, done.stdout) == (0, text.upper())


async def ask_sftp(host, port, folder):
    text = bytes(range(256)) * 2048
    (folder / "here.bin").write_bytes(text)
    async with connect(host, port) as connection, connection.start_sftp_client() as sftp:
        await sftp.put(str(folder / "here.bin"), "there.bin")
        assert "there.bin" in await sftp.listdir("/")
        await sftp.get("there.bin", str(folder / "back.bin"))
        assert (await sftp.stat("there.bin")).size == len(text)
    assert (folder / "back.bin").read_bytes() == text


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def ask_forwarded(host, port):
    """Through the server to an echo server, and back from a port that the server listens on for us.

    asyncssh binds the sockets of its forwards itself, so they stand on an address that the kernel has as well.
    """
    async with await asyncio.start_server(echo, LOCAL, 0) as beyond, connect(host, port) as connection:
        target = beyond.sockets[0].getsockname()[1]
        async with connection.forward_local_port(LOCAL, 0, LOCAL, target) as local:
            await greet(LOCAL, local.get_port())
        async with connection.forward_remote_port(LOCAL, 0, LOCAL, target) as remote:
            await greet(LOCAL, remote.get_port())


async def greet(host, port):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"hello" * 20_000)
    writer.write_eof()
    assert await reader.read() == b"hello" * 20_000
    writer.close()
    await writer.wait_closed()


@cells("asyncssh", "exec", "commands, their input, output and status", way=NATIVE, taps=("server", "client"))
def test_exec(where):
    where.run(serve, ask_exec)


@cells("asyncssh", "sftp", "files there and back by SFTP", way=NATIVE)
def test_sftp(where, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    where.run(lambda host: serve(host, root), lambda host, port: ask_sftp(host, port, tmp_path))


@cells("asyncssh", "forward", "ports forwarded to the server's side and back", way=ADOPTED)
def test_forward(where):
    where.run(serve, ask_forwarded)
