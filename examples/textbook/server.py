"""pychat in the place of a textbook's Node server: the page stays as it is.

    python server.py         # then open http://127.0.0.1:3000/public/index.html

The page speaks the original protocol of 2017. It can chat with pychat's own page, which is at
http://127.0.0.1:3000/, and with `pychat connect`.
"""

import sys
from pathlib import Path

from pychat import ChatServer


def show(server: ChatServer) -> None:
    print(f"open {server.url}/public/index.html", flush=True)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    ChatServer("memory:", public=Path(__file__).parent).listen(port, ready=show)
