"""Two scripts as customers write them, against a running gateway: only what comes with Python.

    client.py URL ACCOUNT_KEY INSTANCE_ID

The first sends a bearer token and X-Instance-ID; the second the same token and instance in header, query and body at once,
in each form a body may take, and in the body alone.
"""

import json
import sys
import urllib.parse
import urllib.request

URL, KEY, INSTANCE = sys.argv[1:]


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


bearer()
everywhere()
print("client.py: 2 passed")
