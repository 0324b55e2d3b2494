"""What the tool cannot know of this API: a value that stands in two places must be the same, some things exist, and what
ends something must not end what the other operations need.

WAGATE_CHECK_URL, WAGATE_CHECK_KEY: the gateway. The rest is empty on the pass that is meant to make everything up:
WAGATE_CHECK_INSTANCES: ids to put in place of made-up ones, by commas; WAGATE_CHECK_PASSKEY: one that WhatsApp asks for a
passkey. The tool itself takes ids from the answers that it gets: what this account has made is within its reach.
"""

import json
import os
import urllib.request
from itertools import cycle

import schemathesis

URL = os.environ["WAGATE_CHECK_URL"]
KEY = os.environ["WAGATE_CHECK_KEY"]
INSTANCES = list(filter(None, os.environ.get("WAGATE_CHECK_INSTANCES", "").split(",")))
PASSKEY = list(filter(None, [os.environ.get("WAGATE_CHECK_PASSKEY")]))

# Waiting for what never comes proves nothing; what is refused for its value stays as it is. Who says nothing waits too.
WAITS = {"wait": range(26), "timeout": range(26)}
WAITING = {
    "/v2/auth/qr": "wait",
    "/v2/auth/qr-image": "wait",
    "/v2/auth/request-code": "wait",
    "/v2/session/info": "timeout",
}

# What the account must have set for the other operations to get through.
SETTINGS = {
    "require_header_auth": False,
    "allow_get_control": True,
    "allowed_origins": ["https://app.example.com"],
}

# These leave an instance behind that is of no use to the others.
ENDS = {"/v2/session/delete", "/v2/session/logout"}
# These end a credential.
ENDS_TOKEN = {("DELETE", "/v2/session/token"), ("POST", "/v2/session/token/rotate")}
ENDS_KEY = {("DELETE", "/v2/account/keys"), ("POST", "/v2/account/keys/rotate")}

instances = cycle(INSTANCES)
asked = cycle(PASSKEY + INSTANCES)
# Keys that were made for a case and may have outlived it.
keys = []


def call(method, path, **fields):
    """The document that the account's own key is answered with."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(URL + path, json.dumps(fields).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


OWN_KEY = next(key["token_id"] for key in call("GET", "/v2/account/keys")["keys"] if key["current"])


def fresh():
    return call("POST", "/v2/session/create", start=False)["instance_id"]


def fresh_key():
    keys.append(call("POST", "/v2/account/keys")["token_id"])
    return keys[-1]


def places_of(case):
    return [place for place in (case.query, case.body) if hasattr(place, "items")]


def shorten(fields):
    for name, allowed in WAITS.items():
        if str(fields.get(name)).isdecimal() and int(fields[name]) in allowed:
            fields[name] = 0


def replace(places, name, make):
    """Puts another value wherever the case gives one."""
    given = [place for place in places if name in place]
    if given:
        value = make()
        for place in given:
            place[name] = value


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = (case.operation.method.upper(), case.operation.path)
    places = places_of(case)
    for place in places:
        shorten(place)
    wait = WAITING.get(operation[1])
    if wait and not any(wait in place for place in places):
        case.query[wait] = 0
    if len(places) == 2:
        # The caller's own token comes by the header already.
        case.body.pop("access_token", None)
        for name in case.body:
            case.query.pop(name, None)
    if operation in ENDS_KEY and (INSTANCES or any(place.get("token_id") == OWN_KEY for place in places)):
        replace(places, "token_id", fresh_key)
    if not INSTANCES:
        return
    if not any("instance_id" in place for place in places) and not (case.headers and "X-Instance-ID" in case.headers):
        return
    for place in places:
        place.pop("instance_id", None)
    if operation[1] in ENDS or operation in ENDS_TOKEN:
        instance = fresh()
    elif operation == ("GET", "/v2/auth/passkey"):
        instance = next(asked)
    else:
        instance = next(instances)
    case.headers["X-Instance-ID"] = instance
    if operation in ENDS_TOKEN:
        replace(places, "token_id", lambda: call("POST", "/v2/session/token", instance_id=instance)["token_id"])


@schemathesis.hook
def after_call(context, case, response):
    """Keeps the account as the next case needs it: with its settings, and with room for another token."""
    path = case.operation.path
    if path == "/v2/account" and case.operation.method.upper() == "POST" and response.status_code == 200:
        call("POST", "/v2/account", **SETTINGS)
    if response.status_code == 201 and path.startswith(("/v2/account/keys", "/v2/session/token")):
        minted = response.json()
        ended = [token["token_id"] for token in (minted, minted.get("replaces")) if token]
        if path.startswith("/v2/account"):
            keys.extend(ended)
        else:
            named = [place["instance_id"] for place in places_of(case) if "instance_id" in place]
            instance = case.headers.get("X-Instance-ID") or named[0]
            for token_id in ended:
                call("DELETE", "/v2/session/token", token_id=token_id, instance_id=instance)
    while keys:
        call("DELETE", "/v2/account/keys", token_id=keys.pop())
