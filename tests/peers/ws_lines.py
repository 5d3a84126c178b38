"""What ws_client.py and ws_server.py share: WebSocket messages as lines on the standard streams."""

import asyncio
import base64
import json
import os
import sys
import threading

# Only the connection under test decides about pings, sizes and proxies.
QUIET = {"ping_interval": None, "max_size": None, "close_timeout": 5}


def show(line):
    sys.stdout.buffer.write(line.encode() + b"\n")
    sys.stdout.buffer.flush()


def say(text):
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr, flush=True)


def show_message(message):
    if isinstance(message, bytes):
        show("#b64 " + base64.b64encode(message).decode())
    elif "\n" in message:
        show("#json " + json.dumps(message))
    else:
        show(message)


def show_close(socket):
    show(f"#close {socket.close_code} {socket.close_reason or ''}".rstrip())


async def act(line, sockets):
    """Does what one line of standard input asks for, on each of the sockets."""
    verb, _, rest = line.partition(" ")
    for socket in sockets:
        if verb == "#b64":
            await socket.send(base64.b64decode(rest))
        elif verb == "#json":
            await socket.send(json.loads(rest))
        elif verb == "#ping":
            await (await socket.ping(rest))
            show(f"#pong {rest}".rstrip())
        elif verb == "#close":
            code, _, reason = rest.partition(" ")
            await socket.close(int(code or 1000), reason)
        else:
            await socket.send(line)


async def stdin_lines():
    """The lines of standard input, read on a thread that nothing waits for at exit."""
    queue, loop = asyncio.Queue(), asyncio.get_running_loop()

    def put(line):
        loop.call_soon_threadsafe(queue.put_nowait, line)

    def read():
        rest = b""
        while chunk := os.read(0, 65536):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                put(line)
        if rest:
            put(rest)
        put(None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await queue.get()) is not None:
        if line := line.decode().rstrip("\r"):
            yield line
