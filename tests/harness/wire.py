"""Requests as bytes: what no HTTP library would let a test send."""

import http.client
import socket
from dataclasses import dataclass


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def send(address, data, method="GET", seconds=10):
    """Sends `data` as it is on a new connection and reads one answer."""
    if isinstance(data, str):
        data = data.encode("latin-1")
    with socket.create_connection(address, timeout=seconds) as connection:
        connection.sendall(data)
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        return Reply(response.status, response.headers, response.read())


def request(target="/", method="GET", host="h", headers=()):
    """The bytes of a request without a body; `headers` are lines."""
    lines = [f"{method} {target} HTTP/1.1", *([f"Host: {host}"] if host else []), "Connection: close", *headers]
    return "\r\n".join(lines) + "\r\n\r\n"
