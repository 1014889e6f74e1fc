"""Recent evicts the least recently used entry."""

from pychat.server.guard.addresses import Recent


def test_a_full_table_forgets_what_was_used_longest_ago() -> None:
    table: Recent[str, int] = Recent(3)
    for number, key in enumerate("abc"):
        table[key] = number
    assert table.get("a") == 0
    table["d"] = 3
    assert [table.get(key) for key in "abcd"] == [0, None, 2, 3]
    table.forget("c")
    table.forget("not there")
    assert (len(table), table.get("c")) == (2, None)
