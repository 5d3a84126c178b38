#!/usr/bin/env python3
"""Writes N events `[:test/flood {:n 0}]`, `[:test/flood {:n 1}]`, ... before it reads anything, then
echoes like echo.py. With a second argument each event carries a string `:pad` of that many bytes.

    flood.py N [PAD]
"""

import os
import sys

import echo

count = int(sys.argv[1])
pad = b' :pad "%s"' % (b"x" * int(sys.argv[2])) if len(sys.argv) > 2 else b""
try:
    out = sys.stdout.buffer
    for n in range(count):
        out.write(b"[:test/flood {:n %d%s}]\n" % (n, pad))
    out.flush()
except BrokenPipeError:
    os._exit(0)  # the parent is gone
echo.main()
