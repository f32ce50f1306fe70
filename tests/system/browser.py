"""A headless Chromium, driven over its debugging pipe: no driver, no port, no package."""
import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")


def find():
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page in one browser. Commands and events as in the DevTools protocol; the session's own id is added."""

    def __init__(self, program, home, limit=60):
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()
        self.limit, self.number, self.pending, self.events, self.session = limit, 0, b"", [], None
        flags = ["--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage",
                 "--remote-debugging-pipe", "--no-sandbox", f"--user-data-dir={home}"]       # it sees our own page alone
        # it reads descriptor 3 and writes 4; ours lie higher, so that neither is in the other's way
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (to_read, to_write)]
        become = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
        self.process = subprocess.Popen([sys.executable, "-c", become, *map(str, ends), program, *flags, "about:blank"], pass_fds=ends, start_new_session=True, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ, HOME=str(home)))
        for fd in (to_read, to_write, *ends):
            os.close(fd)
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self("Page.enable")
        self("Runtime.enable")
        self("Log.enable")

    def close(self):
        os.close(self.to)           # it ends with its pipe
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)     # a group of its own, with all that it began
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.back)

    def _next(self, end):
        while b"\0" not in self.pending:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.back], [], [], left)[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self.back, 1 << 20)
            if not part:
                raise EOFError("the browser ended")
            self.pending += part
        text, self.pending = self.pending.split(b"\0", 1)
        return json.loads(text)

    def __call__(self, method, **params):
        self.number += 1
        word = {"id": self.number, "method": method, "params": params}
        if self.session:
            word["sessionId"] = self.session
        text = json.dumps(word).encode() + b"\0"
        while text:
            text = text[os.write(self.to, text):]
        end = time.monotonic() + self.limit
        while True:
            got = self._next(end)
            if got.get("id") == self.number:
                if "error" in got:
                    raise RuntimeError(f"{method}: {got['error']['message']}")
                return got["result"]
            self.events.append(got)

    def open(self, url):
        self.events.clear()
        self("Page.navigate", url=url)
        end = time.monotonic() + self.limit
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self._next(end))

    def run(self, script):
        """The value of an expression in the page; a promise is waited for."""
        got = self("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in got:
            raise RuntimeError(got["exceptionDetails"].get("exception", {}).get("description", str(got["exceptionDetails"])))
        return got["result"].get("value")

    def window(self, width, height=900, scheme="light"):
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            self("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, path, clip=None):
        size = self("Page.getLayoutMetrics")["cssContentSize"]
        clip = clip or (0, 0, size["width"], size["height"])
        got = self("Page.captureScreenshot", captureBeyondViewport=True, clip=dict(zip(("x", "y", "width", "height"), clip), scale=1))
        path.write_bytes(base64.b64decode(got["data"]))

    def tree(self):
        """What a screen reader is given: (role, name) of each node that it does not skip."""
        nodes = self("Accessibility.getFullAXTree")["nodes"]
        return [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n.get("ignored") and "role" in n]
