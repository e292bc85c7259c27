"""What every client asks, in its own dialect, and what the stand-ins answer. Kept in one place for all languages."""

import base64
import json
import struct
import zlib

FEATURES = [
    "chat", "stream", "tools", "tools stream", "tool choice", "images", "schema", "thinking",
    "thinking stream", "embeddings", "unknown model", "bad request", "busy", "cut",
]
TOOL = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Lisbon", "Porto"]}},
        "required": ["city"],
    },
}
SCHEMA = {
    "type": "object",
    "properties": {
        "town": {"type": "string", "maxLength": 12},
        "country": {"type": "string", "maxLength": 12},
    },
    "required": ["town", "country"],
    "additionalProperties": False,
}
SYSTEM = "You are a lighthouse keeper."
ASK = {
    "chat": "Say something about the sea.",
    "stream": "Say something about the sea.",
    "tools": "What is the weather in Lisbon?",
    "tools stream": "What is the weather in Lisbon?",
    "tool choice": "What is the weather in Lisbon?",
    "images": "What is in this picture?",
    "schema": "Name a town and its country.",
    "thinking": "Think first: what is six times seven?",
    "thinking stream": "Think first: what is six times seven?",
    "unknown model": "Is anyone there?",
    "bad request": "How hot is it?",
    "busy": "Say that you are busy.",
    "cut": "Begin and break off.",
}
ANSWER = {
    "chat": "The sea keeps what the rivers bring, and gives back only the rain.",
    "stream": "The sea keeps what the rivers bring, and gives back only the rain.",
    "tools": "It is sunny in Lisbon.",
    "images": "A single red dot.",
    "schema": '{"town": "Lisbon", "country": "Portugal"}',
    "thinking": "Forty-two.",
    "cut": "It begins well enough, and it goes on for a while, and then, quite suddenly, it does not end.",
}
THOUGHT = "Six sevens: five sevens are thirty-five, and seven more."
CALL = {"name": "get_weather", "arguments": {"city": "Lisbon"}}
TOOL_RESULT = '{"sky": "sunny"}'
EMBED = ["one fish", "two fish"]
TOKENS_MAX = {"chat": 12, "stream": 12, "thinking": 1500, "thinking stream": 1500}


def png(red=255):
    """One dot, as a file of some 70 bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes([0, red, 0, 0]))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


IMAGE = base64.b64encode(png()).decode()


def job(url, cells):
    """What a driver reads from its standard input: `cells` are (feature, model)."""
    questions = {
        "tool": TOOL, "schema": SCHEMA, "system": SYSTEM, "ask": ASK, "image": IMAGE, "embed": EMBED,
        "tool_result": TOOL_RESULT, "tokens_max": {feature: TOKENS_MAX.get(feature, 200) for feature in FEATURES},
    }
    return json.dumps({"url": url, "cells": [list(cell) for cell in cells], **questions})
