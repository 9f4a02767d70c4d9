"""A real browser for tests: Chromium without a window, spoken to by the DevTools protocol."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@contextmanager
def chromium(profile: Path) -> Iterator[str]:
    """Chromium, with its profile in that folder; the address of its debugger."""
    running = subprocess.Popen(
        [
            str(CHROMIUM),
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{_port(profile, running)}"
    finally:
        running.terminate()
        running.wait(10)


def _port(profile: Path, running: subprocess.Popen[bytes]) -> int:
    file = profile / "DevToolsActivePort"
    for _ in range(300):
        assert running.poll() is None, "the browser did not start"
        if file.exists() and (lines := file.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.1)
    raise AssertionError("the browser has no debugger")


class Page:
    """A page of the browser, spoken to by the DevTools protocol."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self.complaints: list[str] = []
        self.asked: list[str] = []  # addresses, once Network is enabled
        self._loaded = False

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(await self._socket.recv())
            self._note(message)
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    async def open(self, url: str) -> None:
        self._loaded = False
        await self.call("Page.navigate", url=url)
        while not self._loaded:
            self._note(json.loads(await self._socket.recv()))

    async def value(self, expression: str) -> Any:
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def pause(self, seconds: float) -> None:
        """Wait, and note meanwhile what the page says: the browser tells it before it answers."""
        await asyncio.sleep(seconds)
        await self.value("0")

    async def until(self, expression: str, seconds: float = 20) -> None:
        """Wait until an expression is true; it may name what is not there as yet."""
        end = time.monotonic() + seconds
        while not await self.value(f"(() => {{ try {{ return !!({expression}) }} catch {{ return false }} }})()"):
            assert time.monotonic() < end, (expression, self.complaints)
            await asyncio.sleep(0.05)

    async def press(self, key: str, code: str, modifiers: int = 0) -> None:
        """Press a key; ``modifiers`` as the protocol counts them: 1 Alt, 2 Ctrl, 8 Shift."""
        number = {"Enter": 13, "Tab": 9, "Escape": 27, "Delete": 46, "Home": 36, "End": 35, "Space": 32}.get(code)
        number = (
            number or {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}.get(code) or ord(code[-1])
        )
        told = {"key": key, "code": code, "modifiers": modifiers, "windowsVirtualKeyCode": number}
        commands = ["selectAll"] if (code, modifiers) == ("KeyA", 2) else []
        text = {"text": "\r"} if key == "Enter" else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", commands=commands, **told, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.asked.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(str(parameters["entry"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.complaints.append(str(parameters["args"]))


def look(browser: str, visit: Any) -> None:
    """Run ``visit(page)`` with a fresh page."""

    async def run() -> None:
        target = httpx.put(f"{browser}/json/new?about:blank").json()
        async with connect(target["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Log"):
                await page.call(f"{domain}.enable")
            async with asyncio.timeout(60):
                await visit(page)
        httpx.get(f"{browser}/json/close/{target['id']}")

    asyncio.run(run())
