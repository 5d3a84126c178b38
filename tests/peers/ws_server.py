#!/usr/bin/env python3
"""A WebSocket server that speaks sente-lite, or Sente with --sente, on the package `websockets`.

    ws_server.py [--sente] [--port N] [--handshake TEXT] [--refuse STATUS] [--until-eof]

See README.md beside it for what it prints, what it answers, and the lines it reads.
"""

import argparse
import asyncio
import time

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

import echo
from ws_lines import QUIET, act, say, show, show_close, show_message, stdin_lines

LITE_HANDSHAKE = '[:chsk/handshake ["uid-1" nil {:sente-lite-version "2.0.0"} true]]'
SENTE_HANDSHAKE = '[[:chsk/handshake ["uid-1" nil nil]] nil]'
SHOWN_HEADERS = ("origin", "cookie", "authorization", "referer", "sec-websocket-protocol")


def sente_answers(text):
    frame = echo.items(text)
    event = echo.items(frame[0])
    name, data = event[0], event[1] if len(event) > 1 else b"nil"
    callback = frame[1] if len(frame) > 1 else b"nil"
    if callback != b"nil":
        if event == [b":chsk/ws-ping"]:
            return [b'["pong" %s]' % callback]
        return [b"[%s %s]" % (data, callback)] if name == b":test/echo" else []
    if name == b":test/push":
        return [b"[%s nil]" % data]
    return [b"[:chsk/ws-ping nil]"] if name == b":test/ping" else []


def lite_answers(text, conn_id):
    event = echo.items(text)
    if event[0].startswith(b"["):
        event = echo.items(event[0])  # a callback id is dropped, as the stock server does
    name, data = event[0], event[1] if len(event) > 1 else b"nil"
    if name == b":test/push":
        return echo.items(data)
    if name == b":test/ping":
        return [b"[:chsk/ws-ping]"]
    if name == b":chsk/ws-ping":
        return [b"[:chsk/ws-pong]"]
    if name in (b":chsk/ws-pong", b":chsk/handshake", b":sente-lite/echo"):
        return []
    return [
        b"[:sente-lite/echo {:original-event-id %s, :original-data %s, :conn-id %s, :timestamp %d}]"
        % (name, data, b'"%s"' % conn_id.encode(), time.time() * 1000)
    ]


async def main():
    options = argparse.ArgumentParser()
    options.add_argument("--sente", action="store_true")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--handshake", help="the first frame instead of the usual one, '' for none")
    options.add_argument("--refuse", type=int, help="answer upgrades with this status")
    options.add_argument("--until-eof", action="store_true", help="stop at the end of the input")
    args = options.parse_args()
    handshake = args.handshake
    if handshake is None:
        handshake = SENTE_HANDSHAKE if args.sente else LITE_HANDSHAKE
    sockets = set()
    opened = 0

    def on_request(connection, request):
        show(f"#open {request.path}")
        for name, value in request.headers.raw_items():
            if name.lower() in SHOWN_HEADERS or name.lower().startswith("x-"):
                show(f"#header {name.lower()}: {value}")
        if args.refuse:
            return connection.respond(args.refuse, f"refused with {args.refuse}\n")

    async def on_connection(socket):
        nonlocal opened
        opened += 1
        conn_id = f"conn-{int(time.time() * 1000)}-{opened}"
        try:
            if handshake:
                await socket.send(handshake)
            sockets.add(socket)
            async for message in socket:
                show_message(message)
                if isinstance(message, bytes):
                    continue
                try:
                    packed = message.encode()
                    back = sente_answers(packed) if args.sente else lite_answers(packed, conn_id)
                except (echo.Unreadable, IndexError) as why:
                    say(f"unreadable message: {why}")
                    continue
                for frame in back:
                    await socket.send(frame.decode())
        except ConnectionClosed:
            pass
        finally:
            sockets.discard(socket)
        await socket.wait_closed()
        show_close(socket)

    server = serve(
        on_connection, "127.0.0.1", args.port, process_request=on_request, write_limit=1 << 20, **QUIET
    )
    async with server as listening:
        show(f"listening ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")
        async for line in stdin_lines():
            await act(line, list(sockets))
        if not args.until_eof:
            await asyncio.Future()


asyncio.run(main())
