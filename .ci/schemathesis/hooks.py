"""What the tool cannot know of this API: a value that stands in two places must be the same, some things exist, and what
ends something must not end what the other operations need.

WAGATE_CHECK_URL, WAGATE_CHECK_KEY: the gateway. WAGATE_CHECK_RECEIVER: what addresses lead to, so that nothing leaves this
machine. The rest is empty on the pass that is meant to make everything up:
WAGATE_CHECK_INSTANCES: ids to put in place of made-up ones, by commas; WAGATE_CHECK_PASSKEY: one that WhatsApp asks for a
passkey; WAGATE_CHECK_THINGS: what is in the chats of a linked instance, as JSON (`Things` says what). The tool itself takes
ids from the answers that it gets: what this account has made is within its reach.
"""

import json
import os
import urllib.request
from dataclasses import dataclass
from itertools import count, cycle
from uuid import uuid4

import schemathesis

URL = os.environ["WAGATE_CHECK_URL"]
KEY = os.environ["WAGATE_CHECK_KEY"]
RECEIVER = os.environ["WAGATE_CHECK_RECEIVER"]
INSTANCES = list(filter(None, os.environ.get("WAGATE_CHECK_INSTANCES", "").split(",")))
PASSKEY = list(filter(None, [os.environ.get("WAGATE_CHECK_PASSKEY")]))


@dataclass
class Things:
    """A linked instance and what it has to do with others."""

    instance: str
    # Numbers of phones: one that it writes with, one that is in none of its groups, one that may be forgotten.
    other: str
    third: str
    forgotten: str
    group: str
    # Messages: one that it sent, one that WhatsApp refused, one that it received, one that brought a file.
    sent: str
    refused: str
    received: str
    file: str
    webhook: str


THINGS = Things(**json.loads(os.environ["WAGATE_CHECK_THINGS"])) if os.environ.get("WAGATE_CHECK_THINGS") else None

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
# These make a webhook. The account has room for some only, and each is told of everything that happens.
MAKES_WEBHOOK = {("POST", "/v2/webhooks")}

# These are about chats: they go to the instance that has some, mostly.
TALKS = tuple(f"/v2/{part}" for part in ("send/", "messages/", "media/", "contacts/", "chats/", "groups", "events"))
# A file of the kind that each takes.
FILES = {
    "/v2/send/image": "a.png",
    "/v2/send/sticker": "a.webp",
    "/v2/send/video": "a.mp4",
    "/v2/send/voice": "a.ogg",
    "/v2/send/audio": "a.ogg",
    "/v2/send/pdf": "a.pdf",
    "/v2/send/document": "a.pdf",
}

instances = cycle(INSTANCES)
asked = cycle(PASSKEY + INSTANCES)
talking = cycle([THINGS.instance] * 5 + INSTANCES) if THINGS else instances
# A made-up value now and then, where another would always be put in its place.
turns = count()
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


def fresh_message():
    return call("POST", "/v2/send/text", instance_id=THINGS.instance, chatId=THINGS.other, message="to end")["id"]


def fresh_group():
    return call("POST", "/v2/groups", instance_id=THINGS.instance, name="to end", participants=[THINGS.other])["id"]


def fresh_webhook():
    return call("POST", "/v2/webhooks", url=f"{RECEIVER}/hook", enabled=False)["webhook_id"]


def places_of(case):
    return [place for place in (case.query, case.body) if hasattr(place, "items")]


def parameters_of(case):
    """The names that the operation knows, in the query and in the body."""
    raw = case.operation.definition.raw
    query = {parameter["name"] for parameter in raw.get("parameters", []) if parameter["in"] == "query"}
    content = raw.get("requestBody", {}).get("content", {})
    body = content.get(case.media_type, {}).get("schema", {}).get("properties", {})
    return query, set(body)


def shorten(fields):
    for name, allowed in WAITS.items():
        if str(fields.get(name)).isdecimal() and int(fields[name]) in allowed:
            fields[name] = 0


def stay_here(fields):
    """No request of ours goes to an address that was made up."""
    for name, value in fields.items():
        if isinstance(value, str) and value.strip().lower().startswith(("http:", "https:")):
            fields[name] = f"{RECEIVER}/a.png"
        elif isinstance(value, dict):
            stay_here(value)


def replace(places, name, make):
    """Puts another value wherever the case gives one."""
    given = [place for place in places if name in place]
    if given:
        value = make()
        for place in given:
            place[name] = value


def forget(places, *names):
    for place in places:
        for name in names:
            place.pop(name, None)


def as_texts(case):
    """A query and a form hold texts: a list separated by commas, an object as its JSON. The tool repeats the name instead."""
    is_form = str(case.media_type).startswith(("application/x-www-form-urlencoded", "multipart/"))
    for place in places_of(case) if is_form else [case.query]:
        for name, value in place.items():
            if isinstance(value, list) and all(isinstance(item, str) for item in value):
                place[name] = ",".join(value)
            elif isinstance(value, (dict, list)):
                place[name] = json.dumps(value)


def fill(case, name, make):
    """Puts a value into the case, given or not, if the operation knows the name."""
    query, body = parameters_of(case)
    if name not in query | body:
        return
    forget(places_of(case), name)
    place = case.body if name in body and hasattr(case.body, "items") else case.query
    place[name] = make()


def speak(case, operation):
    """Names what is there, in chats, groups, messages and webhooks."""
    method, path = operation
    places = places_of(case)
    in_path = case.path_parameters or {}
    if "group_id" in in_path:
        in_path["group_id"] = fresh_group() if path.endswith("/leave") else THINGS.group
    if "message_id" in in_path:
        of_chat = [THINGS.sent, THINGS.refused, THINGS.received]
        in_path["message_id"] = THINGS.file if "media" in path else of_chat[next(turns) % len(of_chat)]
    if "webhook_id" in in_path:
        in_path["webhook_id"] = fresh_webhook() if method == "DELETE" else THINGS.webhook
    replace(places, "return_url", lambda: f"{SETTINGS['allowed_origins'][0]}/done")
    if "webhook" in path:
        fill(case, "url", lambda: f"{RECEIVER}/hook")
        replace(places, "events", lambda: ["message", "session.status"])
        replace(places, "headers", lambda: {"X-Shop": "7"})
        replace(places, "secret", lambda: "a secret of the receiver's own".replace(" ", "-"))
    if path.endswith("/replay"):
        case.headers.pop("X-Instance-ID", None)
        replace(places, "instance_id", lambda: THINGS.instance)
        if any("event_id" in place for place in places):
            forget(places, "instance_id", "from_seq", "to_seq", "dead_letters")
            replace(places, "event_id", lambda: f"evt_{THINGS.instance}_1")
        elif any("dead_letters" in place for place in places):
            forget(places, "from_seq", "to_seq")
        else:
            fill(case, "from_seq", lambda: 1)
            fill(case, "to_seq", lambda: 2)
            fill(case, "instance_id", lambda: THINGS.instance)
    if "Idempotency-Key" in case.headers and next(turns) % 5:
        case.headers["Idempotency-Key"] = str(uuid4())
    if not path.startswith(TALKS):
        return
    is_of_group = "participants" in path
    fill(case, "chatId", lambda: THINGS.forgotten if path.endswith("/erase") else f"{THINGS.other}@c.us")
    fill(case, "message_ids", lambda: [THINGS.received])
    fill(case, "participants", lambda: [THINGS.third if is_of_group else THINGS.other])
    fill(case, "phone_number", lambda: THINGS.other)
    if path == "/v2/contacts/check":
        # It takes the one or the other.
        forget(places, "phone", "phones")
        one = next(turns) % 2
        fill(case, "phone" if one else "phones", lambda: THINGS.other if one else [THINGS.other, THINGS.third])
    fill(case, "question", lambda: "When?")
    fill(case, "options", lambda: ["now", "later"])
    replace(places, "mentions", lambda: [f"{THINGS.other}@c.us"])
    replace(places, "reply_to", lambda: THINGS.received)
    replace(places, "participant", lambda: f"{THINGS.other}@c.us")
    if path == "/v2/messages/retry":
        fill(case, "message_id", lambda: THINGS.refused)
    elif path == "/v2/messages/delete":
        fill(case, "message_id", fresh_message)
        forget(places, "participant")
    elif path == "/v2/messages/edit":
        fill(case, "message_id", lambda: THINGS.sent)
    elif path == "/v2/send/reaction":
        fill(case, "message_id", lambda: THINGS.received)
    if path in FILES and next(turns) % 4:
        forget(places, "file", "mimetype", "filename")
        fill(case, "url", lambda: f"{RECEIVER}/{FILES[path]}")


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = (case.operation.method.upper(), case.operation.path)
    places = places_of(case)
    for place in places:
        shorten(place)
        stay_here(place)
    wait = WAITING.get(operation[1])
    if wait and not any(wait in place for place in places):
        case.query[wait] = 0
    if operation[1] == "/v2/events":
        # A stream has no end that could be waited for; tests/clients/client.py reads one.
        case.headers["Accept"] = "application/json"
    if len(places) == 2:
        # The caller's own token comes by the header already.
        case.body.pop("access_token", None)
        for name in case.body:
            case.query.pop(name, None)
    if operation in ENDS_KEY and (INSTANCES or any(place.get("token_id") == OWN_KEY for place in places)):
        replace(places, "token_id", fresh_key)
    if THINGS:
        speak(case, operation)
        as_texts(case)
    if not INSTANCES or not parameters_of(case)[0] >= {"instance_id"}:
        return
    named = any("instance_id" in place for place in places) or (case.headers and "X-Instance-ID" in case.headers)
    if operation[1].endswith(("/webhooks", "/replay", "/audit")):
        # Here it narrows: who names none means all.
        if not named or operation[1].endswith("/replay"):
            return
    elif not named and next(turns) % 10 == 0:
        return
    forget(places, "instance_id")
    if operation[1] in ENDS or operation in ENDS_TOKEN:
        instance = fresh()
    elif operation == ("GET", "/v2/auth/passkey"):
        instance = next(asked)
    elif operation[1].startswith(TALKS):
        instance = next(talking)
    else:
        instance = next(instances)
    case.headers["X-Instance-ID"] = instance
    if operation in ENDS_TOKEN:
        replace(places, "token_id", lambda: call("POST", "/v2/session/token", instance_id=instance)["token_id"])


@schemathesis.hook
def after_call(context, case, response):
    """Keeps the account as the next case needs it: with its settings, and with room for another token or webhook."""
    path = case.operation.path
    if path == "/v2/account" and case.operation.method.upper() == "POST" and response.status_code == 200:
        call("POST", "/v2/account", **SETTINGS)
    is_replayed = "idempotency-replayed" in response.headers
    if (case.operation.method.upper(), path) in MAKES_WEBHOOK and response.status_code == 201 and not is_replayed:
        call("DELETE", f"/v2/webhooks/{response.json()['webhook_id']}")
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
