#!/usr/bin/env python3
"""A WebSocket client on the standard streams, on the package `websockets`.

    ws_client.py URL [--header 'Name: value']... [--expect N]

See README.md beside it for the lines it reads and writes. At the end of its input it waits until N
messages have come in all (none by default) and closes.
"""

import argparse
import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ws_lines import QUIET, act, show, show_close, show_message, stdin_lines


async def main():
    options = argparse.ArgumentParser()
    options.add_argument("url")
    options.add_argument("--header", action="append", default=[])
    options.add_argument("--expect", type=int, default=0)
    args = options.parse_args()
    headers = [tuple(part.strip() for part in header.split(":", 1)) for header in args.header]
    try:
        socket = await connect(args.url, additional_headers=headers, proxy=None, **QUIET)
    except InvalidStatus as refused:
        show(f"#refused {refused.response.status_code}")
        return 1
    except Exception as error:
        show(f"#failed {type(error).__name__}: {error}")
        return 1
    show("#open")
    enough = asyncio.Event()

    async def speak():
        async for line in stdin_lines():
            await act(line, [socket])
        if args.expect:
            await enough.wait()
        await socket.close()

    speaking = asyncio.create_task(speak())
    received = 0
    try:
        async for message in socket:
            show_message(message)
            received += 1
            if received >= args.expect:
                enough.set()
    except ConnectionClosed:
        pass
    await socket.wait_closed()
    speaking.cancel()
    show_close(socket)
    return 0


sys.exit(asyncio.run(main()))
