"""Three scripts as customers write them, against a running gateway: only what comes with Python.

    client.py URL ACCOUNT_KEY INSTANCE_ID LINKED_INSTANCE_ID PHONE_NUMBER

The first sends a bearer token and X-Instance-ID; the second the same token and instance in header, query and body at once,
in each form a body may take, and in the body alone. The third sends a text from the linked instance to the number, reads
what became of it, and finds it in the log of events: page by page, and in a stream that it goes on with.
"""

import json
import sys
import urllib.parse
import urllib.request

URL, KEY, INSTANCE, LINKED, NUMBER = sys.argv[1:]


def call(path, headers, body=None):
    """Status and document of an answer; an error raises."""
    request = urllib.request.Request(URL + path, data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, json.load(answer)


def multipart(fields, boundary):
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode()


def bearer():
    headers = {"Authorization": f"Bearer {KEY}", "X-Instance-ID": INSTANCE}
    for body in None, b"":
        status, info = call("/v2/session/info", headers, body)
        assert (status, info["instance_id"]) == (200, INSTANCE), info
    status, code = call("/v2/auth/qr", headers)
    assert status == 200 and set(code) == {"mimetype", "data"}, code
    status, image = call("/v2/auth/qr-image", headers)
    assert status == 200 and image["qr"].startswith("data:image/png;base64,"), image


def everywhere():
    fields = {"access_token": KEY, "instance_id": INSTANCE}
    query = urllib.parse.urlencode(fields)
    headers = {
        "Authorization": f"Bearer {KEY}",
        "X-Api-Key": KEY,
        "access-token": KEY,
        "X-Instance-ID": INSTANCE,
    }
    for media_type, body in [
        ("application/json", json.dumps(fields).encode()),
        ("application/x-www-form-urlencoded", query.encode()),
        ("multipart/form-data; boundary=between", multipart(fields, "between")),
    ]:
        for path in "/v2/session/info", "/v2/auth/qr":
            typed = headers | {"Content-Type": media_type}
            status, _ = call(f"{path}?{query}", typed, body)
            assert status == 200, (path, media_type)
            status, _ = call(path, {"Content-Type": media_type}, body)
            assert status == 200, (path, media_type, "in the body alone")


def events(headers):
    """Every event that is kept, a small page at a time."""
    after = 0
    while True:
        _, page = call(f"/v2/events?limit=2&after={after}", headers)
        yield from page["events"]
        if page["next"] is None:
            return
        after = page["next"]


def conversation():
    headers = {"Authorization": f"Bearer {KEY}", "X-Instance-ID": LINKED, "Content-Type": "application/json"}
    text = json.dumps({"chatId": NUMBER, "message": "Hello!"}).encode()
    status, sent = call("/v2/send/text", headers, text)
    assert status in (200, 202), sent
    status, message = call(f"/v2/messages/{sent['id']}", headers)
    assert (status, message["id"]) == (200, sent["id"]), message
    assert message["status"] in ("queued", "sending", "sent", "delivered", "read"), message
    log = list(events(headers))
    assert [event["seq"] for event in log] == list(range(log[0]["seq"], log[-1]["seq"] + 1)), "one is missing"
    # As EventSource does it: the number of the last event but one, and the stream goes on behind it.
    stream = headers | {"Accept": "text/event-stream", "Last-Event-ID": str(log[-1]["seq"] - 1)}
    with urllib.request.urlopen(urllib.request.Request(f"{URL}/v2/events", headers=stream), timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream"), answer.headers
        lines = (line.decode().rstrip("\n") for line in answer)
        told = json.loads(next(line for line in lines if line.startswith("data: ")).removeprefix("data: "))
    assert told == log[-1], told


bearer()
everywhere()
conversation()
print("client.py: 3 passed")
