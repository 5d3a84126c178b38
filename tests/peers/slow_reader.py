#!/usr/bin/env python3
"""Echoes like echo.py, and stops reading when told to.

`[:test/stop-reading]` is answered `[:test/stopped {:pid PID}]`; from then on nothing is read until
the process gets SIGUSR1. `[:test/stop-reading MS]` waits for the signal at most that many
milliseconds. `[:test/resumed]` says that reading goes on.
"""

import os
import signal

import echo

# Blocked from the start: a signal sent before the wait begins is kept for it.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})


def each_line(line):
    try:
        event = echo.items(line)
    except echo.Unreadable:
        event = []
    if event[:1] != [b":test/stop-reading"]:
        return echo.echo(line)
    echo.send(b"[:test/stopped {:pid %d}]" % os.getpid())
    if len(event) > 1:
        signal.sigtimedwait({signal.SIGUSR1}, int(event[1]) / 1000)
    else:
        signal.sigwait({signal.SIGUSR1})
    echo.send(b"[:test/resumed]")


echo.main(each_line)
