"""An HTTP/1.1 origin that writes down, byte for byte, what reaches it, and answers what the test tells it to."""

import json
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Request:
    method: str
    target: str
    headers: list  # of (name in lower case, value), in the order of arrival
    body: bytes = b""

    def values(self, name):
        return [value for header, value in self.headers if header == name.lower()]


@dataclass
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: dict = field(default_factory=dict)

    def encode(self):
        headers = {"Content-Type": "application/json", "Content-Length": len(self.body), **self.headers}
        lines = [f"HTTP/1.1 {self.status} Answer", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


class Origin:
    def __init__(self, answer=lambda request: Answer(), port=0):
        self.answer, self.requests = answer, []
        self.listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        # shutdown wakes the accepting thread, close alone would not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            try:
                while request := read_request(stream):
                    self.requests.append(request)
                    answer = self.answer(request).encode()
                    if request.method == "HEAD":
                        answer = answer[: answer.index(b"\r\n\r\n") + 4]
                    connection.sendall(answer)
            except (OSError, ValueError):
                return


def read_request(stream):
    line = stream.readline()
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers = []
    while (line := stream.readline().rstrip(b"\r\n")):
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name.lower(), value.strip()))
    request = Request(method, target, headers)
    if request.values("transfer-encoding"):
        request.body = read_chunks(stream)
    else:
        request.body = stream.read(int((request.values("content-length") or ["0"])[0]))
    return request


def read_chunks(stream):
    body = b""
    while size := int(stream.readline().split(b";")[0], 16):
        body += stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass
    return body


def chat_completion(text="hello", model="origin"):
    return json.dumps({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }).encode()
