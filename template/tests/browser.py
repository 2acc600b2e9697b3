"""Opens a page in a headless Chromium and says what is wrong with it.

No driver and no library: Chromium reads and writes JSON through two pipes, its DevTools protocol.
"""

import atexit
import json
import os
import select
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

try:
    import fcntl
except ImportError:  # Windows, where these tests are skipped
    fcntl = None

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((path for path in map(shutil.which, NAMES) if path), None) if os.name == "posix" else None
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason=f"no {' or '.join(NAMES)} is installed")
OPTIONS = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
]
TIMEOUT_S = 60
LEAST_CONTRAST = 4.5  # of text and what is behind it (WCAG 2, AA)
# Of the page as it stands: how wide it is, what sticks out, pictures that are not there, colors of text and paper.
LOOKED_AT = """(() => {
  const root = document.documentElement, style = getComputedStyle(document.body);
  const wide = [...document.body.querySelectorAll('*')].filter(each => {
    for (let above = each.parentElement; above; above = above.parentElement)
      if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(above).overflowX)) return false;
    return each.getBoundingClientRect().right > root.clientWidth + 1;
  });
  return {
    width: root.scrollWidth, sticks: wide.slice(0, 3).map(each => each.outerHTML.slice(0, 120)),
    lost: [...document.images].filter(each => !each.complete || !each.naturalWidth).map(each => each.alt),
    colors: [style.color, style.backgroundColor].map(each => each.match(/[0-9.]+/g).map(Number)),
  };
})()"""


class Browser:
    """A headless Chromium; `asked` says what it answers, `events` is what it told meanwhile."""

    def __init__(self) -> None:
        assert CHROMIUM is not None
        self.profile = tempfile.mkdtemp(prefix="chromium")
        to_read, self._to = _high_pipe()
        self._from, to_write = _high_pipe()
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # root has none
        words = [CHROMIUM, *OPTIONS, *sandbox, f"--user-data-dir={self.profile}", "about:blank"]
        nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
        actions = [(os.POSIX_SPAWN_DUP2, to_read, 3), (os.POSIX_SPAWN_DUP2, to_write, 4), *nothing]
        self.process = os.posix_spawn(CHROMIUM, words, os.environ, file_actions=actions, setpgroup=0)
        os.close(to_read)
        os.close(to_write)
        self.events: list[dict[str, Any]] = []
        self._number, self._rest = 0, b""

    def asked(self, method: str, session: str | None = None, **params: object) -> dict[str, Any]:
        """What the browser answers to a method of its protocol."""
        self._number += 1
        message = {
            "id": self._number,
            "method": method,
            "params": params,
            **({"sessionId": session} if session else {}),
        }
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            told = self._told()
            if told.get("id") == self._number:
                assert "error" not in told, f"{method}: {told['error']}"
                return told["result"]
            self.events.append(told)

    def wait_for(self, event: str, session: str) -> None:
        while not any(told.get("method") == event and told.get("sessionId") == session for told in self.events):
            self.events.append(self._told())

    def close(self) -> None:
        if os.name == "posix":
            with suppress(ProcessLookupError, ChildProcessError):
                os.killpg(self.process, signal.SIGKILL)
                os.waitpid(self.process, 0)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _told(self) -> dict[str, Any]:
        """The next message, which ends with a zero byte."""
        deadline = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._rest:
            if not select.select([self._from], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise TimeoutError(f"{CHROMIUM} says nothing for {TIMEOUT_S} s")
            part = os.read(self._from, 1 << 16)
            if not part:
                raise TimeoutError(f"{CHROMIUM} has ended")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


def problems(path: Path, width: int = 1280, dark: bool = False) -> list[str]:
    """What is wrong with the page at `path` in a window so many pixels wide, dark or light; nothing if all is well.

    Errors on the console, requests to anywhere but the page itself, pictures that do not show, a page wider than the
    window, and text that does not stand out. Skips the test where the browser cannot be started.
    """
    session, page = _opened(path, width, dark)
    seen = page["result"]["value"]
    events = [told for told in browser().events if told.get("sessionId") == session]
    found = [problem for told in events if (problem := _problem(told, path))]
    if seen["width"] > width:
        found.append(f"the page is {seen['width']} px wide, the window {width}: {'; '.join(seen['sticks'])}")
    found += [f"a picture does not show: {alt}" for alt in seen["lost"]]
    ink, paper = (_luminance(color) for color in seen["colors"])
    contrast = (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)
    if contrast < LEAST_CONTRAST or (paper < ink) != dark:
        found.append(f"{'dark' if dark else 'light'}: text {seen['colors'][0]} on {seen['colors'][1]}")
    browser().asked("Target.closeTarget", targetId=page["target"])
    return found


@cache
def browser() -> Browser:
    """One for all tests of this process."""
    opened = Browser()
    atexit.register(opened.close)
    try:
        opened.asked("Browser.getVersion")
    except (TimeoutError, BrokenPipeError) as error:
        pytest.skip(f"{CHROMIUM} does not start: {error}")
    return opened


def _opened(path: Path, width: int, dark: bool) -> tuple[str, dict[str, Any]]:
    """The session of a new page, and what it looks like once it is loaded."""
    ask = browser().asked
    target = ask("Target.createTarget", url="about:blank")["targetId"]
    session = ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        ask(f"{domain}.enable", session)
    ask("Emulation.setDeviceMetricsOverride", session, width=width, height=900, deviceScaleFactor=1, mobile=False)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    ask("Emulation.setEmulatedMedia", session, features=[scheme])
    ask("Page.navigate", session, url=path.resolve().as_uri())
    browser().wait_for("Page.loadEventFired", session)
    return session, {**ask("Runtime.evaluate", session, expression=LOOKED_AT, returnByValue=True), "target": target}


def _problem(told: dict[str, Any], path: Path) -> str:
    """What is wrong about an event, or ""."""
    method, about = told["method"], told["params"]
    if method == "Runtime.exceptionThrown":
        return f"a script failed: {about['exceptionDetails']['text']}"
    if method == "Runtime.consoleAPICalled" and about["type"] in {"error", "warning", "assert"}:
        return f"the console says: {[each.get('value') for each in about['args']]}"
    if method == "Log.entryAdded" and about["entry"]["level"] in {"error", "warning"}:
        return f"the console says: {about['entry']['text']}"
    if method == "Network.requestWillBeSent":
        url = about["request"]["url"]
        if not url.startswith(("data:", "about:")) and url.partition("#")[0] != path.resolve().as_uri():
            return f"the page asks for {url[:200]}"
    return ""


def _high_pipe() -> tuple[int, int]:
    """Both ends of a pipe, under numbers that nothing is moved to."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]


def _luminance(color: list[float]) -> float:
    """Of a color by WCAG 2, from 0 (black) to 1 (white); what is see-through counts as white."""
    if len(color) > 3 and color[3] == 0:
        return 1.0
    parts = [value / 255 for value in color[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
