"""A shop behind aiohttp, and a till: orders have a key, so that one that is sent again is not bought again."""

import asyncio
import json
import random
import time
import uuid

import aiohttp
from aiohttp import web


class Shop:
    """Takes orders, and writes each down before it says so."""

    def __init__(self, journal):
        self.journal = journal
        self.orders = {}
        if journal.exists():
            for line in journal.read_text().splitlines():
                order = json.loads(line)
                self.orders[order["key"]] = order

    def app(self):
        app = web.Application()
        app.add_routes([web.post("/orders", self.take), web.get("/orders", self.list)])
        return app

    async def take(self, request):
        order = await request.json()
        known = self.orders.get(order["key"])
        if known is None:
            known = self.orders[order["key"]] = order | {"number": len(self.orders) + 1, "at": time.time()}
            with self.journal.open("a") as file:
                file.write(json.dumps(known) + "\n")
        return web.json_response(known, status=201)

    async def list(self, request):
        return web.json_response(sorted(self.orders.values(), key=lambda order: order["number"]))


async def serve(journal, port=8080):
    runner = web.AppRunner(Shop(journal).app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


class Till:
    def __init__(self, url, attempts=30):
        self.url = url
        self.attempts = attempts
        self.retries = 0

    async def __aenter__(self):
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=8))
        return self

    async def __aexit__(self, *_):
        await self.session.close()

    async def retried(self, method, path, **options):
        """Exponential backoff with jitter, for whatever goes wrong on the way."""
        for attempt in range(self.attempts):
            try:
                async with self.session.request(method, self.url + path, **options) as response:
                    response.raise_for_status()
                    return await response.json()
            except (TimeoutError, aiohttp.ClientError):
                self.retries += 1
                await asyncio.sleep(min(0.2 * 2**attempt, 10) * random.uniform(0.5, 1))
        raise ConnectionError(f"{method} {path}: given up after {self.attempts} attempts")

    async def sell(self, what):
        return await self.retried("POST", "/orders", json={"key": str(uuid.uuid4()), "what": what})

    async def sold(self):
        return await self.retried("GET", "/orders")


async def day(url, customers):
    """A customer every few seconds."""
    async with Till(url) as till:
        receipts = []
        for customer in range(customers):
            receipts.append(await till.sell(f"tea for customer {customer}"))
            await asyncio.sleep(random.uniform(1, 5))
        return receipts, await till.sold(), till.retries
