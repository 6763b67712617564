"""A small WebDriver client (W3C WebDriver over http.client) for chromedriver and a Chromium without a window."""

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile

import lab

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"left": "\ue012", "up": "\ue013", "right": "\ue014", "down": "\ue015", "tab": "\ue004", "enter": "\ue007",
        "control": "\ue009"}


class WebDriverError(Exception):
    pass


class Browser:
    """A Chromium with an empty profile. Use it in a `with` statement: it is gone afterwards, whatever happened.

    `names` says which addresses names have, {"www.example": "127.0.0.2"}, and no other server is asked.
    """

    def __init__(self, width=1280, height=900, names=None, dark=False, touch=False, arguments=()):
        self.profile = tempfile.mkdtemp(prefix="jitsu-chromium-")
        self.session = None
        self.processes = []
        self.driver, self.port = self.start_driver()
        try:
            rules = [f"MAP {name} {address}" for name, address in (names or {}).items()] + ["MAP * ~NOTFOUND",
                                                                                            "EXCLUDE 127.0.0.1"]
            options = {
                "binary": shutil.which("chromium"),
                "args": ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                         "--disable-background-networking", "--disable-component-update", "--disable-sync",
                         "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage",
                         "--no-proxy-server", "--hide-scrollbars", f"--user-data-dir={self.profile}",
                         f"--window-size={width},{height}", f"--host-resolver-rules={','.join(rules)}", *arguments],
            }
            answer = self.request("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL"}}}})
            self.session = answer["sessionId"]
            self.processes = lab.descendants(self.driver.pid)
            self.show(width, height, dark=dark, touch=touch)
        except BaseException:
            self.close()
            raise

    def start_driver(self):
        """Returns chromedriver's process and port. The port that it chooses for itself may be taken in one of IPv4 and
        IPv6; then it ends and another is started."""
        for _ in range(10):
            driver = subprocess.Popen(["chromedriver", "--port=0"], stdin=subprocess.DEVNULL, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      env={**os.environ, "HOME": self.profile})
            said = []
            for line in driver.stdout:
                if "started successfully on port" in line:
                    return driver, int(line.rstrip().rstrip(".").rpartition(" ")[2])
                said.append(line)
            driver.communicate()
        shutil.rmtree(self.profile, ignore_errors=True)
        raise WebDriverError(f"chromedriver ended with status {driver.returncode}: {''.join(said)}")

    def close(self):
        """Ends the browser and, by their numbers, whatever of its processes is still there."""
        processes = {*self.processes, *lab.descendants(self.driver.pid)}
        if self.session:
            with contextlib.suppress(OSError, WebDriverError, http.client.HTTPException):
                self.request("DELETE", f"/session/{self.session}")
        processes = [pid for pid in processes if "chrom" in lab.command_line(pid)]
        self.driver.kill()
        self.driver.communicate()
        for pid in processes:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        lab.wait_until(lambda: all(lab.state_of(pid) in ("Z", "gone") for pid in processes), "Chromium is gone")
        shutil.rmtree(self.profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- the protocol ---

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=lab.PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json; charset=utf-8"})
            response = connection.getresponse()
            value = json.loads(response.read())["value"]
        if response.status != 200:
            raise WebDriverError(f"{method} {path}: {value['error']}: {value['message']}")
        return value

    def command(self, method, path, body=None):
        return self.request(method, f"/session/{self.session}{path}", body)

    def devtools(self, name, **parameters):
        """A command of the DevTools protocol, for what WebDriver has no word for."""
        return self.command("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    # --- what a person sees and does ---

    def show(self, width, height, scale=1, dark=False, calm=False, touch=False):
        """The size of the page in CSS pixels, and what the person prefers: dark colours, little motion."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                      mobile=touch)
        self.devtools("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if calm else "no-preference"}])

    def open(self, url):
        self.command("POST", "/url", {"url": url})

    def reload(self):
        self.command("POST", "/refresh", {})

    def title(self):
        return self.command("GET", "/title")

    def run(self, script, *arguments):
        """Runs the body of a function in the page; what it returns, or what its promise comes to."""
        return self.command("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        return self.command("POST", "/element", {"using": "css selector", "value": selector})

    def text(self, selector):
        return self.command("GET", f"/element/{self.find(selector)[ELEMENT]}/text")

    def click(self, selector):
        self.command("POST", f"/element/{self.find(selector)[ELEMENT]}/click", {})

    def press(self, *keys, holding=()):
        """Keys by name ("left") or character, one after the other, while others are held."""
        def change(kind, key):
            return {"type": kind, "value": KEYS.get(key, key)}
        taps = [change(kind, key) for key in keys for kind in ("keyDown", "keyUp")]
        actions = [change("keyDown", key) for key in holding] + taps + [change("keyUp", key) for key in holding]
        self.command("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def swipe(self, selector, x, y):
        """A finger goes x and y CSS pixels from the middle of the element."""
        origin = self.find(selector)
        self.command("POST", "/actions", {"actions": [{
            "type": "pointer", "id": "finger", "parameters": {"pointerType": "touch"}, "actions": [
                {"type": "pointerMove", "duration": 0, "origin": origin, "x": 0, "y": 0},
                {"type": "pointerDown", "button": 0},
                {"type": "pointerMove", "duration": 50, "origin": "pointer", "x": x, "y": y},
                {"type": "pointerUp", "button": 0}]}]})

    def wait_until(self, script, *arguments):
        """Polls until the body of a function returns something true, and returns it."""
        return lab.wait_until(lambda: self.run(script, *arguments), script)

    def complaints(self):
        """What the browser's console has been told that is not merely information, since the last time."""
        entries = self.command("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("WARNING", "SEVERE")]

    def wait_until_still(self):
        """Waits until nothing in the page moves any more, and nothing that follows from that."""
        self.run("""return (async () => {
            do {
              await Promise.allSettled(document.getAnimations().map(animation => animation.finished));
              await new Promise(requestAnimationFrame);
            } while (document.getAnimations().length > 0);
          })();""")

    def screenshot(self, path):
        """Keeps a picture of the page as it looks when it is still."""
        self.wait_until_still()
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.command("GET", "/screenshot")))
