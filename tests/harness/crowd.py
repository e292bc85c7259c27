"""A crowd of clients and the server behind them, on one event loop of its own: a thousand streams cost a thousand sockets.

A stream lasts until the test says `finish`, so that nothing depends on how fast a machine is. Its words are numbered: one
that is missing, repeated or out of place is seen.
"""

import asyncio
import json
import threading
import time

from .process import eventually

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
# Its usage is nothing, so that a budget counts the streams alone.
SHORT = b'{"id":"short","choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}'
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


class Loop:
    """An event loop on a thread; what it is given runs there."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine, seconds=120):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    def spawn(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        async def cancel():
            mine = asyncio.current_task()
            for task in asyncio.all_tasks():
                if task is not mine:
                    task.cancel()
            await asyncio.sleep(0)

        self.run(cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


class Server:
    """Streams numbered words to whoever asks with `"stream": true`, and answers all others at once."""

    def __init__(self, loop, pace=0.5):
        self.pace, self.streams, self.answered = pace, 0, 0
        self.done = asyncio.Event()
        self.listener = loop.run(asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=4096))
        self.port = self.listener.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.loop = loop

    def finish(self):
        """Lets every stream end."""
        self.loop.loop.call_soon_threadsafe(self.done.set)

    async def serve(self, reader, writer):
        try:
            while (body := await read_request(reader)) is not None:
                if not body:  # Somebody looks for models.
                    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                elif json.loads(body).get("stream"):
                    await self.stream(writer)
                else:
                    self.answered += 1
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                                 % (len(SHORT), SHORT))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def stream(self, writer):
        self.streams += 1
        try:
            writer.write(HEAD)
            number = 0
            while not self.done.is_set():
                writer.write(chunk(word(number)))
                await writer.drain()
                number += 1
                try:
                    await asyncio.wait_for(self.done.wait(), self.pace)
                except TimeoutError:
                    pass
            usage = json.dumps({"choices": [], "usage": USAGE}).encode()
            writer.write(chunk(b"data: " + usage + b"\n\n") + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
            await writer.drain()
        finally:
            self.streams -= 1


def word(number):
    return b'data: {"choices":[{"index":0,"delta":{"content":"%d "}}]}\n\n' % number


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


async def read_request(reader):
    """A request's body; `None` where the client has gone."""
    head = await read_head(reader)
    return None if head is None else await reader.readexactly(int(head[1].get("content-length", 0)))


async def read_head(reader):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    line, *fields = head.decode("latin-1").split("\r\n")[:-2]
    return line, {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}


class Streams:
    """Clients that each take a stream to its end."""

    def __init__(self, loop, address, key):
        self.loop, self.address, self.key = loop, address, key
        self.words, self.whole, self.faults = [], 0, []
        self.tasks = []

    def open(self, count):
        for _ in range(count):
            self.words.append(0)
            self.tasks.append(self.loop.spawn(self.take(len(self.words) - 1)))
        return self

    async def take(self, index):
        try:
            reader, writer = await asyncio.open_connection(*self.address)
            writer.write(request(self.key, {"model": "m", "stream": True, "n": index, "messages": []}))
            line, _ = await read_head(reader)
            assert line.startswith("HTTP/1.1 200"), line
            while (data := await read_chunk(reader)) is not None:
                if b'"content"' in data:
                    for event in data.split(b"\n\n")[:-1]:
                        if b'"content"' in event:
                            assert event + b"\n\n" == word(self.words[index]), (event, self.words[index])
                            self.words[index] += 1
                last = data
            assert last.endswith(b"data: [DONE]\n\n"), last
            self.whole += 1
            writer.close()
        except (OSError, AssertionError, asyncio.IncompleteReadError, TypeError, ValueError) as error:
            self.faults.append(f"stream {index} after {self.words[index]} words: {error!r}")

    def await_words(self, count, seconds=120):
        """Until each has heard so many more."""
        wanted = [words + count for words in self.words]

        def heard():
            assert not self.faults, self.faults[:5]
            return all(words >= wish for words, wish in zip(self.words, wanted))

        eventually(heard, seconds, what=f"{count} more words on each of {len(wanted)} streams")

    def await_end(self, seconds=120):
        for task in self.tasks:
            task.result(seconds)
        assert not self.faults, self.faults[:5]
        assert self.whole == len(self.words)


async def read_chunk(reader):
    length = int(await reader.readline(), 16)
    data = await reader.readexactly(length)
    await reader.readexactly(2)
    return data or None


class Requests:
    """Clients that ask again and again: half of them over kept-alive connections if `keep`, the others with a new one each
    time."""

    def __init__(self, loop, address, key, clients=8, pause=0.002, keep=True):
        self.loop, self.address, self.key, self.pause = loop, address, key, pause
        self.answers, self.faults, self.stopped_at = 0, [], None
        self.tasks = [loop.spawn(self.ask(keep and index % 2 == 0)) for index in range(clients)]

    def server_stops(self):
        """From now on a connection may be refused, as long as it was begun after this."""
        self.stopped_at = time.monotonic()

    async def ask(self, keeps):
        connection, begun = None, 0.0
        while True:
            try:
                if connection is None:
                    begun = time.monotonic()
                    connection = await asyncio.open_connection(*self.address)
                reader, writer = connection
                close = {} if keeps else {"Connection": "close"}
                writer.write(request(self.key, {"model": "m"}, close))
                line, headers = await read_head(reader)
                assert line.startswith("HTTP/1.1 200"), line
                assert await reader.readexactly(int(headers["content-length"])) == SHORT
                self.answers += 1
                if not keeps or headers.get("connection", "").lower() == "close":
                    writer.close()
                    connection = None
            except (OSError, AssertionError, asyncio.IncompleteReadError, TypeError, ValueError) as error:
                if self.stopped_at is not None and begun > self.stopped_at:
                    return
                self.faults.append(f"{'kept' if keeps else 'new'} connection: {error!r}")
                return
            await asyncio.sleep(self.pause)

    def await_answers(self, count, seconds=60):
        wanted = self.answers + count
        eventually(lambda: self.faults or self.answers >= wanted, seconds, what=f"{count} more answers")
        assert not self.faults, self.faults[:5]

    def await_end(self, seconds=60):
        for task in self.tasks:
            task.result(seconds)
        assert not self.faults, self.faults[:5]


def request(key, body, headers=None):
    body = json.dumps(body).encode()
    fields = {"Host": "edge", "Authorization": f"Bearer {key}", "Content-Type": "application/json",
              "Content-Length": len(body), **(headers or {})}
    lines = ["POST /v1/chat/completions HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
