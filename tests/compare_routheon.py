#!/usr/bin/env python3
"""Compare an aggregator with `routheon-server` where users can see it.

    compare_routheon.py URL_OF_OURS URL_OF_THEIRS

Both must read the same mapping folder. Compared are the fields of `/stats` and `/v1/models` by name and JSON type, and
the models by id, in order. Prints every difference and exits 1 if there is one; exits 2 if an answer cannot be had.
What Conclave adds is expected: `gpu` in `/stats`, `object` in `/v1/models`.
"""
import json
import sys
import urllib.request

OUR_ADDITIONS = {"/stats": {"gpu"}, "/v1/models": {"object"}}
# routheon-server measures the CPU for a second, and asks a silent backend for two, before it answers.
TIMEOUT_SECONDS = 30


def fetch(base: str, path: str) -> dict:
    """The answer as JSON; anything else ends the comparison."""
    url = base.rstrip("/") + path
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            kind = response.headers.get_content_type()
            if kind != "application/json":
                sys.exit(fail(f"{url}: its type is {kind}, not application/json"))
            return json.load(response)
    except (OSError, ValueError) as error:
        sys.exit(fail(f"{url}: {error}"))


def fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


def json_type(value: object) -> str:
    names = {bool: "bool", int: "int", float: "float", str: "str", list: "list", dict: "object", type(None): "null"}
    return names[type(value)]


def differences(place: str, ours: object, theirs: object) -> list[str]:
    """Names and types only; values differ with every second that passes."""
    if json_type(ours) != json_type(theirs):
        return [f"{place}: ours is {json_type(ours)}, theirs {json_type(theirs)}"]
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = [f"{place}.{name}: only theirs has it" for name in theirs if name not in ours]
        found += [f"{place}.{name}: only ours has it" for name in ours if name not in theirs]
        for name in ours.keys() & theirs.keys():
            found += differences(f"{place}.{name}", ours[name], theirs[name])
        return sorted(found)
    if isinstance(ours, list) and isinstance(theirs, list):
        found = [] if len(ours) == len(theirs) else [f"{place}: ours has {len(ours)} items, theirs {len(theirs)}"]
        for index, pair in enumerate(zip(ours, theirs)):
            found += differences(f"{place}[{index}]", *pair)
        return found
    return []


def model_ids(answer: dict) -> dict[str, list[str]]:
    def name(entry: dict) -> str:
        return str(entry.get("id") or entry.get("model") or entry.get("name"))

    return {key: [name(entry) for entry in answer.get(key, [])] for key in ("models", "data")}


def compare(path: str, ours: dict, theirs: dict) -> list[str]:
    missing = sorted(name for name in OUR_ADDITIONS[path] if name not in ours)
    common = {name: value for name, value in ours.items() if name not in OUR_ADDITIONS[path]}
    found = [f"{path}.{name}: ours lacks it" for name in missing] + differences(path, common, theirs)
    if path == "/v1/models":
        our_ids, their_ids = model_ids(ours), model_ids(theirs)
        for key in our_ids:
            if our_ids[key] != their_ids[key]:
                found.append(f"{path}.{key}: ours names {our_ids[key]}, theirs {their_ids[key]}")
    return found


def main() -> int:
    if len(sys.argv) != 3:
        return fail(__doc__)
    ours, theirs = sys.argv[1:]
    found = []
    for path in OUR_ADDITIONS:
        their_answer = fetch(theirs, path)
        found += compare(path, fetch(ours, path), their_answer)
    for line in found:
        print(line)
    if not found:
        models = model_ids(fetch(ours, "/v1/models"))["data"]
        print(f"same fields, same types, same models: {', '.join(models) or 'none'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
