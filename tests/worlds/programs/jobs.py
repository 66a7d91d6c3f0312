"""A service in trio: workers take jobs from a queue and bring results; a job that nobody brings back in time is given out again."""

import json
import random

import trio


class Queue:
    """What is to be done, and the results, on the disk as soon as they are there."""

    def __init__(self, results, jobs, lease=20.0):
        self.file = results
        self.results = json.loads(results.read_text()) if results.exists() else {}
        self.waiting = [job for job in range(jobs) if str(job) not in self.results]
        self.lent = {}
        self.lease = lease

    def take(self):
        now = trio.current_time()
        self.waiting += [job for job, until in self.lent.items() if until <= now]
        self.lent = {job: until for job, until in self.lent.items() if until > now}
        if not self.waiting:
            return {"job": None, "done": not self.lent}
        job = self.waiting.pop(0)
        self.lent[job] = now + self.lease
        return {"job": job}

    def bring(self, job, result):
        self.lent.pop(job, None)
        if job in self.waiting:
            self.waiting.remove(job)
        self.results[str(job)] = result
        self.file.write_text(json.dumps(self.results))
        return {"thanks": True}

    async def attend(self, stream):
        try:
            with trio.fail_after(60):
                lines = Lines(stream)
                while (line := await lines.receive()) is not None:
                    answer = self.bring(line["job"], line["result"]) if "result" in line else self.take()
                    await stream.send_all(json.dumps(answer).encode() + b"\n")
        except (trio.BrokenResourceError, trio.TooSlowError):
            pass


class Lines:
    """Objects in JSON, one to a line."""

    def __init__(self, stream):
        self.stream = stream
        self.rest = b""

    async def receive(self):
        while b"\n" not in self.rest:
            data = await self.stream.receive_some()
            if not data:
                return None
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)


async def serve(results, jobs, port=4000):
    await trio.serve_tcp(Queue(results, jobs).attend, port)


async def ask(host, port, question, tries):
    """One question on a connection of its own, until it is answered."""
    for attempt in range(tries):
        try:
            with trio.fail_after(8):
                async with await trio.open_tcp_stream(host, port) as stream:
                    await stream.send_all(json.dumps(question).encode() + b"\n")
                    answer = await Lines(stream).receive()
                    if answer is not None:
                        return answer
        except (OSError, trio.BrokenResourceError, trio.TooSlowError):
            pass
        await trio.sleep(min(0.3 * 2**attempt, 5) * random.uniform(0.5, 1))
    raise ConnectionError(f"{host} gave no answer {tries} times")


async def work(host, name, port=4000, tries=40):
    """Jobs, until there are none; squares are hard and take seconds. How many it did."""
    done = 0
    while True:
        given = await ask(host, port, {"worker": name}, tries)
        if given["job"] is None:
            if given["done"]:
                return done
            await trio.sleep(2)
            continue
        await trio.sleep(random.uniform(2, 6))
        await ask(host, port, {"job": given["job"], "result": given["job"] ** 2}, tries)
        done += 1
