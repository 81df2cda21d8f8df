"""Chromium without a window, by its DevTools protocol: open a page, run JavaScript in it, wait for what it shows."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import httpx
import websockets

SECONDS = 120  # for one thing to appear: a loaded machine with two cores takes its time


class Browser:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="dialplane-chromium.", dir="/tmp")
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-extensions",
                 "--no-first-run", "--no-proxy-server", "--remote-debugging-port=0", "--window-size=1400,1600", f"--user-data-dir={self.folder}"]
        self.log = open(Path(self.folder, "log"), "wb")
        self.process = subprocess.Popen(["chromium", *flags, "about:blank"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env={**os.environ, "HOME": self.folder}, start_new_session=True)
        self.loop = asyncio.new_event_loop()
        self.number = 0
        self.errors = []  # what the page complained about

    def __enter__(self):
        try:
            self.socket = self.loop.run_until_complete(self._connect(self._page()))
            self.send("Page.enable")
            self.send("Runtime.enable")
            self.send("Log.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    async def _connect(self, url):
        return await websockets.connect(url, max_size=64 << 20, open_timeout=SECONDS, ping_interval=None)

    def __exit__(self, *_):
        if hasattr(self, "socket"):
            self.loop.run_until_complete(self.socket.close())
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.loop.close()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _page(self):
        until = time.monotonic() + SECONDS
        active = Path(self.folder, "DevToolsActivePort")
        while time.monotonic() < until:
            assert self.process.poll() is None, Path(self.folder, "log").read_text(errors="replace")[-3000:]
            try:
                port = int(active.read_text().split()[0])
                pages = [t for t in httpx.get(f"http://127.0.0.1:{port}/json/list", timeout=10).json() if t["type"] == "page"]
                if pages:
                    return pages[0]["webSocketDebuggerUrl"]
            except (OSError, ValueError, IndexError, httpx.TransportError):
                pass
            time.sleep(0.1)
        raise AssertionError(f"Chromium did not start within {SECONDS} s")

    def send(self, method, **parameters):
        """One command; gives its result."""
        return self.loop.run_until_complete(asyncio.wait_for(self._send(method, parameters), SECONDS))

    async def _send(self, method, parameters):
        self.number += 1
        await self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(await self.socket.recv())
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(message["params"]["exceptionDetails"].get("text", "") + str(message["params"]["exceptionDetails"].get("exception", {}).get("description", ""))[:500])
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.errors.append(f"{message['params']['entry']['text']} {message['params']['entry'].get('url', '')}")
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]

    def open(self, url):
        self.send("Page.navigate", url=url)

    def run(self, expression):
        """The value of an expression in the page."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, expression, what):
        until = time.monotonic() + SECONDS
        while True:
            value = self.run(expression)
            if value:
                return value
            assert time.monotonic() < until, f"{what} did not appear within {SECONDS} s; the page says: {self.errors[-5:]}"
            time.sleep(0.05)
