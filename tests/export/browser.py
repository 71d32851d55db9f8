"""A headless Chromium that tests drive through the DevTools protocol, over a pipe: no package is needed for it."""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--remote-debugging-pipe",
)
# The processor plays a graphics card with WebGPU.
SOFTWARE_GPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan,WebGPU",
    "--use-vulkan=swiftshader",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
PATIENCE = 60.0


def find_chromium() -> str | None:
    """The program, where it is installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """One tab."""

    def __init__(self, requests: Any, answers: Any) -> None:
        self._requests, self._answers, self._numbers = requests, answers, itertools.count(1)
        target = self.call("Target.createTarget", session=None, url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", session=None, targetId=target, flatten=True)[
            "sessionId"
        ]

    def call(self, method: str, session: str | None = "", **parameters: Any) -> dict[str, Any]:
        """Send one command of the protocol and wait for its answer; events in between are dropped."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = self._session
        self._requests.write(json.dumps(message).encode() + b"\0")
        self._requests.flush()
        while True:
            answer = json.loads(_until_null(self._answers))
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return dict(answer["result"])

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait_for(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are waited for."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """The first true value of an expression."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            value = self.evaluate(script)
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"in vain: {script}; the page says: {self.evaluate('document.body.innerText')}")

    def resize(self, width: int, height: int, *, touch: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=touch,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """One mouse event: mousePressed, mouseMoved, mouseReleased or mouseWheel."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def screenshot(self) -> str:
        """What is seen, as a PNG in base64."""
        return str(self.call("Page.captureScreenshot", format="png")["data"])


@contextmanager
def chromium(profile: Path, *flags: str) -> Iterator[Page]:
    """A fresh browser with one tab; closed at the end of the block."""
    program = find_chromium()
    assert program is not None
    read_requests, write_requests = os.pipe()
    read_answers, write_answers = os.pipe()
    command = [program, *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"]
    # The browser reads commands from descriptor 3 and writes answers to 4; a shell puts the pipes there.
    plumbing = f'exec "$@" 3<&{read_requests} 4>&{write_answers}'
    process = subprocess.Popen(
        ["bash", "-c", plumbing, "bash", *command],
        pass_fds=(read_requests, write_answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_requests)
    os.close(write_answers)
    with os.fdopen(write_requests, "wb") as requests, os.fdopen(read_answers, "rb") as answers:
        try:
            yield Page(requests, answers)
        finally:
            process.kill()
            process.wait()


@contextmanager
def served(folder: Path, *, isolated: bool = False) -> Iterator[str]:
    """A static server of a folder; yields its address. ``isolated``: with the headers that wasm threads need."""

    class Handler(SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            if isolated:
                self.send_header("Cross-Origin-Opener-Policy", "same-origin")
                self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            super().end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the output of tests is for failures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _until_null(stream: Any) -> bytes:
    parts = bytearray()
    while (byte := stream.read(1)) != b"\0":
        assert byte, "the browser ended"
        parts += byte
    return bytes(parts)
