"""``python -m pychat`` is ``pychat``, and both begin here: nothing is imported that takes time."""

import sys


def main() -> None:
    """``pychat.cli.main.main``, and Ctrl+C is quiet while that is imported."""
    try:
        from pychat.cli import main as command
        from pychat.cli.output import streams
    except KeyboardInterrupt:
        sys.exit(128 + 2)
    streams.secure()
    command.main()


if __name__ == "__main__":
    main()
