"""Entry point of ``pychat`` and ``python -m pychat``. Imports nothing slow at module level."""

import sys


def main() -> None:
    """Run ``pychat.cli.main``. Ctrl+C during its import ends the process without a traceback."""
    try:
        from pychat.cli import main as command
        from pychat.cli.output import streams
    except KeyboardInterrupt:
        sys.exit(128 + 2)
    streams.secure()
    command.main()


if __name__ == "__main__":
    main()
