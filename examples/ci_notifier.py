"""Run a command, and post its result to a room. Needs only Python's standard library.

Create a webhook on the server's machine, and give its address to the CI system as a secret:

    pychat room create --user alice '#builds'
    pychat hook add '#builds' --as CI           # prints /hooks/TOKEN

    PYCHAT_HOOK=https://chat.example.org/hooks/TOKEN python ci_notifier.py make test
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import deque

LAST_LINES = 10


def run(command: list[str]) -> tuple[int, list[str]]:
    """Run the command, show its output, and return its status and its last lines."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last.append(line.rstrip())
    return process.returncode, list(last)


def report(command: list[str], status: int, seconds: float, last: list[str]) -> str:
    name = " ".join(command)
    if status == 0:
        return f"✅ `{name}` passed in {seconds:.0f} s"
    lines = "\n".join(last)
    return f"❌ `{name}` failed with status {status} after {seconds:.0f} s\n```\n{lines}\n```"


def post(hook: str, text: str) -> None:
    request = urllib.request.Request(
        hook, json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30):
        pass


def main() -> int:
    hook, command = os.environ.get("PYCHAT_HOOK"), sys.argv[1:]
    if not hook or not command:
        print("usage: PYCHAT_HOOK=https://…/hooks/TOKEN ci_notifier.py COMMAND…", file=sys.stderr)
        return 2
    began = time.monotonic()
    status, last = run(command)
    try:
        post(hook, report(command, status, time.monotonic() - began, last))
    except OSError as error:  # the build's result does not depend on the chat
        print(f"the result was not posted: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
