#!/usr/bin/env python3
"""Exits with a status of one's choice: at once, or, with --on-event, when the event `[:test/exit]`
comes, echoing like echo.py until then. With --signal the number is that of a signal to die by.

    exit_with.py [--on-event] [--signal] CODE
"""

import os
import signal
import sys

import echo

options = sys.argv[1:-1]
code = int(sys.argv[-1])


def leave():
    echo.say(f"leaving with {code}")
    if "--signal" in options:
        os.kill(os.getpid(), code)
    sys.exit(code)


def each_line(line):
    if line in (b"[:test/exit]", b"[:test/exit nil]"):
        leave()
    echo.echo(line)


if "--on-event" not in options:
    leave()
echo.main(each_line)
