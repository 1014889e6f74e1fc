"""pychat's page as its user works it: log in, open a conversation, write, read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

TIMEOUT_MS = 15_000
expect.set_options(timeout=TIMEOUT_MS)


@dataclass
class ChatPage:
    """One tab. ``problems``: errors of scripts and refusals by the Content-Security-Policy."""

    page: Page
    problems: list[str] = field(default_factory=list)

    @classmethod
    async def open(cls, where: Browser | BrowserContext, url: str, **options: Any) -> ChatPage:
        """In a context of its own, or as one more tab of a context."""
        if isinstance(where, Browser):
            where = await where.new_context(locale="en-GB", **options)
        chat = cls(await where.new_page())
        chat.page.set_default_timeout(TIMEOUT_MS)
        chat.page.on("pageerror", lambda error: chat.problems.append(str(error)))
        chat.page.on("console", lambda entry: chat._note(entry.text))
        await chat.page.goto(url)
        return chat

    def _note(self, text: str) -> None:
        if "Content Security Policy" in text or "Content-Security-Policy" in text:
            self.problems.append(text)

    @classmethod
    async def logged_in(
        cls, where: Browser | BrowserContext, url: str, user: str, **options: Any
    ) -> ChatPage:
        chat = await cls.open(where, url, **options)
        await chat.log_in(user)
        return chat

    @classmethod
    async def both(cls, browser: Browser, url: str, one: str, other: str) -> list[ChatPage]:
        """Two users, logged in at the same time. One user on two devices, one after the other."""
        if one == other:  # only the first may create the account
            return [await cls.logged_in(browser, url, one) for _ in range(2)]
        return await asyncio.gather(*(cls.logged_in(browser, url, user) for user in (one, other)))

    async def log_in(self, user: str, password: str | None = None) -> None:
        """Also creates the account if there is none."""
        await self.fill_login(user, password)
        create = self.page.get_by_role("button", name="Create account")
        again = self.page.get_by_label("Password again")
        chat = self.page.locator(".conversation").first
        await expect(create.or_(chat)).to_be_visible()
        if await again.is_visible():
            await again.fill(password or f"secret of {user}")
            await again.press("Enter")
        await expect(chat).to_be_visible()

    async def fill_login(self, user: str, password: str | None = None) -> None:
        await self.page.get_by_label("Id", exact=True).fill(user)
        await self.page.get_by_label("Password", exact=True).fill(password or f"secret of {user}")
        await self.page.get_by_role("button", name="Log in").click()

    async def find(self, text: str) -> Locator:
        """What the finder finds for this text."""
        await self.page.get_by_label("Search people, rooms and messages").fill(text)
        return self.page.locator("#results .conversation")

    async def begin(self, user: str) -> None:
        """Opens the conversation with that id by the finder."""
        await (await self.find(user)).filter(has_text=user).first.click()
        await expect(self.composer).to_be_focused()

    def row(self, title: str) -> Locator:
        """That conversation in the list."""
        return self.page.locator("#conversations .conversation").filter(has_text=title)

    @property
    def composer(self) -> Locator:
        return self.page.locator("#composer-text")

    async def write(self, text: str) -> None:
        await self.composer.fill(text)
        await self.composer.press("Enter")

    def message(self, text: str) -> Locator:
        """The messages in the log that say this."""
        return self.page.locator(".message").filter(
            has=self.page.get_by_text(text, exact=True).and_(self.page.locator(".text"))
        )

    async def expect_state(self, text: str, state: str) -> None:
        """``sending``, ``sent``, ``delivered``, ``read`` or ``failed``."""
        await expect(self.message(text).locator(f".state.{state}")).to_have_count(1)

    async def texts(self) -> list[str]:
        """What the log says, top to bottom."""
        return await self.page.locator(".message .text").all_inner_texts()

    async def close(self) -> None:
        await self.page.context.close()
