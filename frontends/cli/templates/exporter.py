#!/usr/bin/env python3
"""type=@TYPE@: an exporter of Longshore, a program of its own.

It is given the files of an image as a tar archive, and writes their names and sizes to a file.
"""

import json
import sys
import tarfile

DESCRIPTION = {
    "summary": "Names and sizes of the files of an image",
    "options": [{"key": "sizes", "help": "Whether to write sizes", "syntax": "true|false", "default": "true"}],
    "input": "tar",
    "destination": "file",
}


def send(message, /, **fields):
    print(json.dumps({message: fields}), flush=True)


def export(request):
    sizes = request["options"].get("sizes", "true") != "false"
    # Names of files are bytes, of which not all are text.
    text = {"encoding": "utf-8", "errors": "surrogateescape"}
    with tarfile.open(request["input"]["tar"], **text) as tar, open(request["output"]["file"], "w", **text) as out:
        for entry in tar:
            print(entry.name, *([entry.size] if sizes else []), file=out)
    send("exported")


for line in sys.stdin:
    ((message, request),) = json.loads(line).items()
    if message == "hello":
        send("hello", version=1)
    elif message == "describe":
        send("exporter", **DESCRIPTION)
    elif message == "resolve":
        send("resolved")
    elif message == "export":
        export(request)
