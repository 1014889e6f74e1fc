"""Deterministic simulation: a server, its store, its network and its clients in one process.

Everything that may happen in another order or at another time is drawn from a seed, so that a
failure replays exactly. CONTRIBUTING.md says how to run it. The modules, from the bottom up:

- ``loop``: the event loop, with a virtual clock and a drawn order of ready callbacks; ``machine``:
  time, chance and passwords, which the code under test asks the machine for.
- ``network``, ``store``, ``node``: links that delay and break; a disk that survives its servers; a
  server between them, which may crash. More nodes on one disk, and a bus beside the network, would
  be one module and a list in ``run``.
- ``devices``, ``view``, ``chatclients``, ``commands``: scripted clients and what they have seen,
  programs on the real ChatClient, and an operator's commands.
- ``actions``: what all of them do; a new event is a method and a line in its table.
- ``ledger``, ``invariants``, ``final``: what happened, the rules of every step, and those of the
  end. A rule for a new event is a method named after it: ``_answer_to_EVENT`` or ``_event_EVENT``.
- ``run``: one schedule or story from beginning to end; ``__main__``: many, on every core.
"""
