#!/usr/bin/env python3
"""Echoes like echo.py, but first prints a line on standard output that is no EDN at all, as a
library's stray print does, and talks on standard error before every answer.
"""

import echo

STRAY = b"} 42% of modules loaded, continuing {"


def each_line(line):
    echo.say(f"{len(line)} bytes came in")
    echo.echo(line)


echo.say("about to print something stray")
echo.send(STRAY)
echo.main(each_line)
