"""Reads a job, runs its cells one after the other as it is told to, prints one line of JSON for each: what was seen,
or the error."""

import json
import sys


class Unsupported(Exception):
    """The client, or the API it speaks, has no such thing."""


class Job:
    def __init__(self, text):
        for name, value in json.loads(text).items():
            setattr(self, name, value)


def run(make):
    """`make(job)` gives an object with one method a feature, blanks as underscores, that takes the model's name."""
    job = Job(sys.stdin.readline())
    client = make(job)
    for feature, model in job.cells:
        # A line for each cell: what the backend is sent must not run ahead of who notes it.
        sys.stdin.readline()
        print(json.dumps({"feature": feature, **observe(client, feature, model)}), flush=True)


def observe(client, feature, model):
    try:
        return {"seen": getattr(client, feature.replace(" ", "_"))(model)}
    except Unsupported as reason:
        return {"unsupported": str(reason)}
    # Whatever the client raises is what its user would see.
    except Exception as error:
        return {"error": described(error)}


def described(error):
    status = next(
        (value for name in ("status_code", "code", "status") if isinstance(value := getattr(error, name, None), int)),
        None,
    )
    headers = getattr(getattr(error, "response", None), "headers", {}) or {}
    return {
        "kind": type(error).__name__, "status": status, "message": str(error)[:600],
        "should_retry": headers.get("x-should-retry") if hasattr(headers, "get") else None,
    }


def seen(text=None, finish=None, thinking=None, calls=(), usage=None, **more):
    return {
        "text": text or "", "finish": finish, "thinking": thinking or "",
        "calls": [{"name": name, "arguments": arguments} for name, arguments in calls],
        "usage": list(usage) if usage else None, **more,
    }
