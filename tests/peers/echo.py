#!/usr/bin/env python3
"""Echoes sente-lite events over standard input and output, one EDN form per line.

A full peer for a parent that speaks first: events come back as they are, calls are answered with
their own data, pings with a pong. Data is copied byte for byte; nothing is parsed further than
finding where each element of a frame begins and ends.
"""

import os
import re
import sys

# What an EDN token may not contain, and the tokens this script tells apart.
_ENDS = rb'\s,;"\\\[\](){}'
_TOKEN = re.compile(
    rb"""
      (?P<blank> [\s,]+ )
    | (?P<open>  \#?\{ | [\[(] )
    | (?P<close> [\])}] )
    | (?P<skip>  \#_ )                          # the next form is not there
    | (?P<meta>  \#?\^ )                        # two forms make one
    | (?P<tag>   \#[A-Za-z:][^%(ends)s]* )      # #inst, #foo/bar, #:ns before a map
    | (?P<atom>  "[^"\\]*(?:\\.[^"\\]*)*"       # a string
               | \\.[^%(ends)s]*                # a character: \a \newline \" \]
               | \#\#[^%(ends)s]+               # ##NaN
               | [^%(ends)s\#^][^%(ends)s]* )   # a number, keyword or symbol
    """
    % {b"ends": _ENDS},
    re.VERBOSE | re.DOTALL,
)
_CLOSES = {b"[": b"]", b"(": b")", b"{": b"}", b"#{": b"}"}


class Unreadable(ValueError):
    """Why a line is not one frame."""


def items(text):
    """The elements of the vector in `text`, each as it is written there."""
    found, closers = [], []
    start, owed, skipped = None, 0, False  # the element that is being read
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if not token:
            raise Unreadable(f"no EDN token at byte {at}")
        kind, begin, at = token.lastgroup, at, token.end()
        if kind == "blank":
            continue
        depth = len(closers)
        if depth == 0 and token[0] != b"[":
            raise Unreadable("not a vector")
        if depth == 1 and kind != "close":
            if start is None:
                start, owed, skipped = begin, 1, kind == "skip"
                owed += kind == "meta"
            else:
                owed += kind in ("skip", "meta")
        if kind == "open":
            closers.append(_CLOSES[token[0]])
        elif kind == "close" and token[0] != closers.pop():
            raise Unreadable(f"wrong bracket at byte {begin}")
        if not closers:
            break
        if len(closers) == 1 and kind in ("atom", "close"):
            owed -= 1
            if owed == 0:
                if not skipped:
                    found.append(text[start:at])
                start = None
    if closers or not text:
        raise Unreadable("the line ends too early")
    if start is not None:
        raise Unreadable("a tag without its form")
    if text[at:].strip(b" \t\r\f\v,"):
        raise Unreadable("more than one form on the line")
    return found


def answer(line):
    """What to send back for one received line, or None."""
    frame = items(line)
    if not frame:
        raise Unreadable("an empty vector")
    head = frame[0]
    if head.startswith(b"["):
        event = items(head)
        if len(frame) != 2 or frame[1] == b"nil" or not event:
            raise Unreadable("neither an event nor a call")
        data = event[1] if len(event) > 1 else b"nil"
        return b"[:chsk/reply {:cb-uuid %s :data %s}]" % (frame[1], data)
    if head == b":chsk/ws-ping":
        return b"[:chsk/ws-pong]"
    # Two peers that echo each other's echoes would never stop.
    if head.startswith(b":chsk/") or head == b":sente-lite/echo":
        return None
    if not head.startswith(b":"):
        raise Unreadable("the event id is not a keyword")
    return line


def send(line):
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def say(text):
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr, flush=True)


def lines():
    """The lines of standard input without their ends, empty ones left out."""
    for line in sys.stdin.buffer:
        line = line.rstrip(b"\r\n")
        if line:
            yield line


def echo(line):
    try:
        back = answer(line)
    except Unreadable as why:
        shown = line[:200].decode("utf-8", "backslashreplace")
        say(f"unreadable line ({why}): {shown}")
    else:
        if back is not None:
            send(back)


def main(each_line=echo):
    try:
        for line in lines():
            each_line(line)
    except BrokenPipeError:
        # The parent is gone. Keep Python from complaining about it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
