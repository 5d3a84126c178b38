#!/usr/bin/env python3
"""Echoes frames over standard input and output, whatever packer wrote them.

    echo_frames.py lines | prefixed

A frame is a line, or has a flag (0 text, 1 binary) and its length in four bytes, most significant
first, before it. The first frame, the handshake of a parent that speaks first, is not echoed.
Exits 0 at the end of input, 1 if that comes within a frame.
"""

import struct
import sys

HEAD = struct.Struct(">BI")


def lines(source):
    yield from source


def prefixed(source):
    while head := source.read(HEAD.size):
        if len(head) < HEAD.size:
            sys.exit("the input ended within a head")
        _, length = HEAD.unpack(head)
        body = source.read(length)
        if len(body) < length:
            sys.exit("the input ended within a frame")
        yield head + body


def main():
    frames = {"lines": lines, "prefixed": prefixed}[sys.argv[1]](sys.stdin.buffer)
    next(frames, None)
    for frame in frames:
        sys.stdout.buffer.write(frame)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
