"""A chat over websockets: the server numbers and keeps what is said; guests come back, and ask for what they missed."""

import asyncio
import json
import random

from websockets.asyncio.client import connect
from websockets.asyncio.server import broadcast
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed


class Room:
    """Remembers all that was said on disk; who says the same thing twice is heard once."""

    def __init__(self, minutes):
        self.minutes = minutes
        self.said = [json.loads(line) for line in minutes.read_text().splitlines()] if minutes.exists() else []
        self.heard = {(line["who"], line["nth"]) for line in self.said}
        self.present = set()

    async def attend(self, websocket):
        since = json.loads(await websocket.recv())["since"]
        for line in self.said[since:]:
            await websocket.send(json.dumps(line))
        self.present.add(websocket)
        try:
            async for message in websocket:
                self.hear(json.loads(message))
        finally:
            self.present.discard(websocket)

    def hear(self, line):
        if (line["who"], line["nth"]) not in self.heard:
            self.heard.add((line["who"], line["nth"]))
            line["number"] = len(self.said)
            self.said.append(line)
            with self.minutes.open("a") as file:
                file.write(json.dumps(line) + "\n")
            broadcast(self.present, json.dumps(line))


async def serve(minutes, port=8765):
    room = Room(minutes)
    async with serve_websockets(room.attend, None, port, ping_interval=10, ping_timeout=10) as server:
        await server.serve_forever()


class Guest:
    """Says some lines, each until he hears it back, and listens until he has heard all that there will be."""

    def __init__(self, name, lines, total):
        self.name = name
        self.lines = lines
        self.total = total
        self.heard = []
        self.visits = 0

    async def talk(self, websocket):
        for nth in range(self.lines):
            while not any(line["who"] == self.name and line["nth"] == nth for line in self.heard):
                await websocket.send(json.dumps({"who": self.name, "nth": nth, "text": f"{self.name} says {nth}"}))
                await asyncio.sleep(random.uniform(10, 20))

    async def listen(self, websocket):
        async for message in websocket:
            line = json.loads(message)
            if line["number"] == len(self.heard):
                self.heard.append(line)
            if len(self.heard) == self.total:
                return

    async def attend(self, url):
        async for websocket in connect(url, open_timeout=10, ping_interval=10, ping_timeout=10, close_timeout=5):
            self.visits += 1
            await websocket.send(json.dumps({"since": len(self.heard)}))
            talk = asyncio.create_task(self.talk(websocket))
            try:
                await self.listen(websocket)
            except ConnectionClosed:
                pass
            finally:
                talk.cancel()
                await asyncio.gather(talk, return_exceptions=True)
            if len(self.heard) == self.total:
                return
