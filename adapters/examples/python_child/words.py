"""Counts words for its parent: one JSON text a line, on standard input and output."""

import json
import platform
import sys


def say(message):
    # Flushed at once: the parent waits.
    print(json.dumps(message), flush=True)


def count(text):
    words = text.split()
    return {"words": len(words), "longest": max(words, key=len)}


HANDLERS = {"words/count": count}

say(["words/ready", "Python " + platform.python_version()])

# The end of the input is the end of the work.
for line in sys.stdin:
    message = json.loads(line)
    if message[0] == "chsk/ws-ping":
        say(["chsk/ws-pong"])
    elif isinstance(message[0], list):
        # A call: an event, and the name its answer goes by.
        (event, data), callback = message
        try:
            answer = HANDLERS[event](data)
        except Exception:
            print(f"words.py: cannot count {data}", file=sys.stderr, flush=True)
            answer = "chsk/error"
        say(["chsk/reply", {"cb-uuid": callback, "data": answer}])
