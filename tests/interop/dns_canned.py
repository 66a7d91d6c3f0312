"""Run in a namespace: a name server that has learnt its answers by heart, and the same questions asked by BIND's dig and by ours.

Reads a JSON object from the file that it is given: `answers`, from "name in hex:type" to messages in hex, of which UDP gives the
first and TCP all; and `cases`, lists of words. An answer gets the id of its question, and where it says CLIENTCK the client's
cookie. Prints a JSON list: for each case what dig printed and its status, and what ours did.
"""

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
import threading

from netstack.cli import main

PORT = 5300


def reply(answers: dict[str, list[bytes]], query: bytes) -> list[bytes]:
    end = 12
    while query[end:] and query[end]:
        end += query[end] + 1
    end += 1
    key = f"{query[12:end].hex()}:{int.from_bytes(query[end : end + 2], 'big')}"
    cookie = query.find(b"\0\x0a\0\x08", end) + 4
    mine = query[cookie : cookie + 8] if cookie > 4 else b"CLIENTCK"
    return [query[:2] + answer[2:].replace(b"CLIENTCK", mine) for answer in answers.get(key, [])]


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answers: dict[str, list[bytes]]) -> None:
        self.answers = answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for answer in reply(self.answers, data)[:1]:
            self.transport.sendto(answer, addr)  # type: ignore[attr-defined]  # a DatagramTransport


async def serve(answers: dict[str, list[bytes]], ready: threading.Event) -> None:
    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                for answer in reply(answers, query):
                    writer.write(len(answer).to_bytes(2, "big") + answer)
        writer.close()

    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Datagrams(answers), local_addr=("127.0.0.1", PORT))
    async with await asyncio.start_server(stream, "127.0.0.1", PORT):
        ready.set()
        await asyncio.Event().wait()


def theirs(words: list[str]) -> tuple[str, int]:
    done = subprocess.run(["dig", *words], capture_output=True, timeout=30, env={**os.environ, "LC_ALL": "C.UTF-8"})
    return done.stdout.decode("utf-8", "surrogateescape"), done.returncode


def ours(words: list[str]) -> tuple[str, int]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        status = main(["dig", *words])
    return out.getvalue(), status


with open(sys.argv[1]) as file:
    said = json.load(file)
canned = {key: [bytes.fromhex(one) for one in found] for key, found in said["answers"].items()}
started = threading.Event()
threading.Thread(target=lambda: asyncio.run(serve(canned, started)), daemon=True).start()
started.wait()
found = []
for case in said["cases"]:
    words = ["@127.0.0.1", "-p", str(PORT), *case]
    found.append([*theirs(words), *ours(words)])
json.dump(found, sys.stdout)
