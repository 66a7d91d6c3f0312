"""A visit to the demo's page with a real browser, inside a network namespace: `python dashboard_visitor.py FOLDER`.

Screenshots go to FOLDER. What was seen is printed as JSON; whatever is not as it should be ends it with an AssertionError.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import sys
from typing import Any

from playwright.async_api import Page, async_playwright, expect

URL = "http://10.79.0.2/"
DEMO = (sys.executable, "-m", "netstack", "demo", "--mode", "tap")
CURL = ("curl", "-s", "-o", "/dev/null", "--limit-rate", "20M", "--local-port", "20999")
INK = """canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Map();
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) {
        const key = `${data[i] >> 4} ${data[i + 1] >> 4} ${data[i + 2] >> 4}`;
        seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    const url = canvas.toDataURL();
    return { colours: [...seen.values()].filter(n => n > 30).length, picture: `${url.length} ${url.slice(-4000)}` };
}"""


async def demo() -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(*DEMO, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    while not (line := await process.stdout.readline()).startswith(b"packets in"):
        assert line, "the demo did not start"
    asyncio.ensure_future(process.stdout.read()).add_done_callback(lambda _: None)
    return process


async def stop(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGINT)
    await process.wait()


async def visit(page: Page, folder: str, seen: dict[str, Any]) -> None:
    await page.goto(URL)
    await expect(page.locator("#live")).to_have_text("live")
    await expect(page.locator("#empty")).to_be_visible()
    await expect(page.locator("#try-empty")).to_contain_text("curl -o /dev/null http://10.79.0.2/bytes/100000000")
    await page.screenshot(path=f"{folder}/1280-quiet.png")

    # something moves, and the keyboard alone picks it
    curl = await asyncio.create_subprocess_exec(*CURL, f"{URL}bytes/2000000000")
    try:
        traffic = page.locator("#table tbody tr[data-key$=':20999']", has=page.locator(".tag[hidden]"))
        await expect(traffic).to_have_count(1)
        await expect(page.locator("#empty")).to_be_hidden()
        key = await traffic.get_attribute("data-key")
        await page.focus('#table tbody tr[tabindex="0"]')
        await page.keyboard.press("Home")
        for _ in range(await page.locator("#table tbody tr").count()):
            if await page.evaluate("document.activeElement.dataset.key") == key:
                break
            await page.keyboard.press("ArrowDown")
        assert await page.evaluate("document.activeElement.dataset.key") == key, "the arrows do not reach it"
        await page.keyboard.press("Enter")
        await expect(page.locator("#detail")).to_be_visible()
        await expect(traffic).to_have_attribute("aria-selected", "true")

        # live values move, and pictures are drawn of them
        moved = page.locator("#vars [data-key=acked] dd")
        await expect(moved).not_to_have_text("0 B")
        before = await moved.text_content()
        await expect(moved).not_to_have_text(before or "")
        for name, colours in (("sequence", 4), ("throughput", 3), ("rtt", 3)):
            canvas = page.locator(f"#{name}")
            first = await canvas.evaluate(INK)
            assert first["colours"] >= colours, f"{name} is drawn in {first['colours']} colours"
            await page.wait_for_timeout(400)
            assert (await canvas.evaluate(INK))["picture"] != first["picture"], f"{name} stands still"
            seen[name] = first["colours"]
        await page.wait_for_timeout(500)
        await page.locator("#connections").scroll_into_view_if_needed()
        await page.screenshot(path=f"{folder}/1280-light.png", full_page=True)

        # the diagram's own keys, and a freeze that freezes
        await page.focus("#sequence")
        await page.keyboard.press("+")
        assert await page.input_value("#span") == "2"
        await page.keyboard.press("Space")
        await expect(page.locator("#freeze")).to_have_attribute("aria-pressed", "true")
        still = (await page.locator("#sequence").evaluate(INK))["picture"]
        await page.wait_for_timeout(300)
        assert (await page.locator("#sequence").evaluate(INK))["picture"] == still
        await page.keyboard.press("Space")

        # sorting, counters, colours, the capture
        await page.get_by_role("button", name="Sends").click()
        await expect(page.locator("#table th[data-key=rate]")).to_have_attribute("aria-sort", "descending")
        assert await page.locator("#table tbody tr").first.get_attribute("data-key") == key
        await page.fill("#find-counter", "segments received")
        await expect(page.locator("#groups tr:visible")).not_to_have_count(0)
        assert all("segments received" in text for text in await page.locator("#groups tr:visible").all_inner_texts())
        await page.fill("#find-counter", "")
        await expect(page.locator("#groups details[open] tr.moved").first).to_be_visible()
        light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        await page.click("#theme")
        await page.click("#theme")
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != light
        await page.screenshot(path=f"{folder}/1280-dark.png", full_page=True)
        async with page.expect_download() as waiting:
            await page.get_by_text("Download as pcapng").click()
        with open(await (await waiting.value).path(), "rb") as file:
            head = file.read(4)
            seen["capture"] = len(head + file.read())
        assert head == b"\n\r\r\n"
        assert seen["capture"] > 100_000

        # a narrow window
        await page.set_viewport_size({"width": 390, "height": 844})
        await page.wait_for_timeout(300)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        await page.screenshot(path=f"{folder}/390-dark.png", full_page=True)
        await page.set_viewport_size({"width": 1280, "height": 800})
        await page.keyboard.press("Escape")
        await expect(page.locator("#detail")).to_be_hidden()
    finally:
        curl.kill()
        await curl.wait()
    await page.click("#up")
    await expect(page.locator("#up")).to_have_text("Upload 20 MB", timeout=10_000)


async def main(folder: str) -> None:
    seen: dict[str, Any] = {}
    said: list[str] = []
    running = await demo()
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = await browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
            page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: said.append(f"error: {error}"))
            await visit(page, folder, seen)
            assert said == [], said
            # the stack ends and begins anew: the page finds it again by itself
            await stop(running)
            await expect(page.locator("#live")).to_have_attribute("data-state", "lost", timeout=8000)
            running = await demo()
            await expect(page.locator("#live")).to_have_text("live", timeout=10_000)
            await expect(page.locator("#facts [data-key=up] dd")).to_have_text(re.compile("^[1-9] s$"), timeout=10_000)
            await browser.close()
    finally:
        await stop(running)
    print(json.dumps(seen))


asyncio.run(main(sys.argv[1]))
