"""What the tool cannot know of this API: a value that stands in two places must be the same, and some instances exist.

WAGATE_CHECK_URL, WAGATE_CHECK_KEY: the gateway. WAGATE_CHECK_INSTANCES: ids to put in place of made-up ones, by commas;
empty on the pass that is meant to make everything up.
"""

import json
import os
import urllib.request
from itertools import cycle

import schemathesis

URL = os.environ["WAGATE_CHECK_URL"]
KEY = os.environ["WAGATE_CHECK_KEY"]
INSTANCES = cycle(list(filter(None, os.environ.get("WAGATE_CHECK_INSTANCES", "").split(","))) or [None])

# Waiting for what never comes proves nothing; what is refused for its value stays as it is.
WAITS = {"wait": range(26), "timeout": range(26)}


def fresh():
    """An instance for whoever deletes."""
    request = urllib.request.Request(
        f"{URL}/v2/session/create", data=b'{"start":false}', headers={"Authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["instance_id"]


def shorten(fields):
    for name, allowed in WAITS.items():
        if str(fields.get(name)).isdecimal() and int(fields[name]) in allowed:
            fields[name] = 0


@schemathesis.hook
def before_call(context, case, kwargs):
    places = [place for place in (case.query, case.body) if hasattr(place, "items")]
    for place in places:
        shorten(place)
    if len(places) == 2:
        # The caller's own token comes by the header already.
        case.body.pop("access_token", None)
        for name in case.body:
            case.query.pop(name, None)
    if not any("instance_id" in place for place in places) and not (case.headers and "X-Instance-ID" in case.headers):
        return
    for place in places:
        place.pop("instance_id", None)
    instance = next(INSTANCES)
    if instance is None:
        return
    case.headers["X-Instance-ID"] = fresh() if case.operation.path.endswith("/delete") else instance
