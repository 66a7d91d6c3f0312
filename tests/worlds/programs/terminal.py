"""Commands over SSH with asyncssh: a server that runs them, and a client that follows a log and comes back when it is cut off."""

import asyncio

import asyncssh

RETRY = (OSError, asyncssh.Error, asyncio.TimeoutError)


class Door(asyncssh.SSHServer):
    def __init__(self, guest):
        self.guest = guest

    def public_key_auth_supported(self):
        return True

    def validate_public_key(self, username, offered):
        return username == "guest" and offered == self.guest


async def shell(process):
    """`log N` writes the lines from the Nth on, one every other second; `sum` adds up the numbers that it reads."""
    match process.command.split():
        case ["log", start]:
            for n in range(int(start), 60):
                process.stdout.write(f"line {n}\n")
                await process.stdout.drain()
                await asyncio.sleep(2)
            process.exit(0)
        case ["sum"]:
            total = 0
            async for line in process.stdin:
                total += int(line)
            process.stdout.write(f"{total}\n")
            process.exit(0)
        case _:
            process.stderr.write("no such command\n")
            process.exit(127)


async def serve(host_key, guest, port=22):
    listener = await asyncssh.listen(
        port=port,
        server_factory=lambda: Door(guest),
        server_host_keys=[host_key],
        process_factory=shell,
        keepalive_interval=10,
        keepalive_count_max=3,
        gss_host=None,
    )
    await listener.wait_closed()


def connect(host, key, host_key):
    known = asyncssh.import_known_hosts(f"{host} {host_key.export_public_key().decode()}")
    return asyncssh.connect(
        host,
        username="guest",
        client_keys=[key],
        known_hosts=known,
        config=None,
        agent_path=None,
        connect_timeout=15,
        login_timeout=20,
        keepalive_interval=5,
        keepalive_count_max=3,
    )


async def follow(host, key, host_key):
    """The whole log, in as many sessions as it takes. A line that isn't whole yet is asked for again."""
    lines, sessions = [], 0
    while True:
        try:
            async with connect(host, key, host_key) as connection:
                sessions += 1
                async with connection.create_process(f"log {len(lines)}") as process:
                    async for line in process.stdout:
                        if line.endswith("\n"):
                            lines.append(line.rstrip("\n"))
                    if (await process.wait()).exit_status == 0:
                        return lines, sessions
        except RETRY:
            await asyncio.sleep(3)


async def add(host, key, host_key, numbers):
    """One command with input; tried again as a whole."""
    while True:
        try:
            async with connect(host, key, host_key) as connection:
                done = await connection.run("sum", input="".join(f"{n}\n" for n in numbers), check=True)
                return int(done.stdout)
        except RETRY:
            await asyncio.sleep(3)
