"""A real browser, driven through its DevTools: the page /docs works under its own policy, and a plain fetch works.

    browser.py CHROMIUM URL ACCOUNT_KEY INSTANCE_ID

Needs the package websocket-client.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import websocket

CHROMIUM, URL, KEY, INSTANCE = sys.argv[1:]
PATIENCE = 60
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --remote-debugging-port=0 --remote-allow-origins=*"
).split()

# What a page's own sample does: a string as the body, and no word of its type.
FETCH = """fetch("/v2/session/info", {method: "POST", body: JSON.stringify({access_token: %s, instance_id: %s})})
    .then(async answer => JSON.stringify([answer.status, await answer.json()]))"""


def until(what, found):
    """What `found` finds, within the time a slow machine may take."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.1)
    sys.exit(f"browser.py: {what} did not happen within {PATIENCE} s")


class Page:
    """The first page of a browser."""

    def __init__(self, profile):
        file = Path(profile, "DevToolsActivePort")
        lines = until("the start of the browser", lambda: file.exists() and file.read_text().split())
        with urllib.request.urlopen(f"http://127.0.0.1:{lines[0]}/json") as answer:
            pages = [page for page in json.load(answer) if page["type"] == "page"]
        self.socket = websocket.create_connection(pages[0]["webSocketDebuggerUrl"], timeout=PATIENCE)
        self.sent = 0
        self.complaints = []

    def call(self, method, **parameters):
        self.sent += 1
        self.socket.send(json.dumps({"id": self.sent, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.complaints.append(message["params"]["entry"]["text"])
            if message.get("id") == self.sent:
                assert "error" not in message, message
                return message["result"]

    def value(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")


def check(page):
    page.call("Log.enable")
    page.call("Page.enable")
    page.call("Page.navigate", url=f"{URL}/docs")
    shown = until("the drawing of operations", lambda: page.value("document.querySelectorAll('.opblock').length"))
    with urllib.request.urlopen(f"{URL}/openapi.json") as answer:
        operations = sum(len(methods) for methods in json.load(answer)["paths"].values())
    assert shown == operations, f"{shown} operations are drawn, the document has {operations}"
    assert page.value("performance.getEntriesByType('resource').every(r => r.name.startsWith(location.origin))")
    assert not page.complaints, page.complaints
    status, info = json.loads(page.value(FETCH % (json.dumps(KEY), json.dumps(INSTANCE))))
    assert (status, info["instance_id"]) == (200, INSTANCE), info
    print(f"browser.py: 2 passed ({shown} operations drawn)")


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    command = [CHROMIUM, *QUIET, f"--user-data-dir={profile}", "about:blank"]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        check(Page(profile))
    finally:
        browser.terminate()
        browser.wait(PATIENCE)
