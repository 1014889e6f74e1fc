"""How long the page takes to send many messages posted at once, and its work.

    python -m benchmarks.page.posting [MESSAGES]

One page in headless Chromium, a server in memory without limits, nobody else. ``script``,
``layout`` and ``style`` are the processor time of the page as the browser accounts for it: unlike
``seconds``, they hardly depend on what else the machine does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from tests.e2e.browser import chromium
from tests.e2e.page.chatpage import ChatPage
from tests.serving import serving

POST = """count => {
    const field = document.querySelector('#composer-text');
    for (let number = 1; number <= count; number++) {
        field.value = `line ${number}`;
        document.querySelector('#composer').requestSubmit();
    }
}"""
ALL_SENT = "() => !Object.keys(localStorage).some(key => key.startsWith('pychat:outbox'))"


async def measure(messages: int) -> dict[str, float]:
    """Seconds until all are stored, and the page's processor seconds meanwhile."""
    async with chromium() as browser, serving(limits=False) as server:
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await alice.row("Everyone").click()
        devtools = await alice.page.context.new_cdp_session(alice.page)
        await devtools.send("Performance.enable")

        async def metrics() -> dict[str, float]:
            found = (await devtools.send("Performance.getMetrics"))["metrics"]
            return {each["name"]: each["value"] for each in found}

        before, start = await metrics(), time.perf_counter()
        await alice.page.evaluate(POST, messages)
        posted = time.perf_counter() - start
        await alice.page.wait_for_function(ALL_SENT, timeout=300_000)
        seconds = time.perf_counter() - start
        after = await metrics()
        used = {
            name: round(after[f"{metric}Duration"] - before[f"{metric}Duration"], 2)
            for name, metric in (
                ("script", "Script"),
                ("layout", "Layout"),
                ("style", "RecalcStyle"),
            )
        }
        await alice.close()
    return {"messages": messages, "posted": round(posted, 2), "seconds": round(seconds, 2), **used}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(int(sys.argv[1]) if sys.argv[1:] else 600))))
