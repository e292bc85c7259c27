"""A server that answers at once, or with more than a slow reader takes in a test: any number of connections, a process of
its own, so that it does not share an interpreter's lock with who measures."""

import asyncio
import subprocess
import sys

PIECE = b"x" * 65536
LARGE_PIECES = 128


class Steady:
    """`/large` is 8 MiB, everything else two bytes. Bodies are read to their end, but those of `/stuck`; neither that nor
    `/held` is answered."""

    def __init__(self):
        self.child = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.child.stdout.readline().strip()
        assert self.url, "the server did not start"

    def stop(self):
        # It ends with its input.
        self.child.stdin.close()
        self.child.wait(10)
        self.child.stdout.close()


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b" /stuck" in head:
                await asyncio.Event().wait()
            if b" /held" in head:
                while await reader.read(len(PIECE)):
                    pass
                return
            for line in head.split(b"\r\n"):
                if line.startswith(b"content-length: "):
                    await reader.readexactly(int(line[16:]))
            if b"\r\ntransfer-encoding: chunked" in head:
                while size := int(await reader.readuntil(b"\r\n"), 16):
                    await reader.readexactly(size + 2)
                await reader.readexactly(2)
            if b" /large" not in head:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                continue
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (LARGE_PIECES * len(PIECE)))
            for _ in range(LARGE_PIECES):
                writer.write(PIECE)
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        pass  # The client is gone, or the server ends.
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    print("http://127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
