"""An aiohttp application with its own accounts, and a chat for those who are logged in.

    python app.py            # then open http://127.0.0.1:3000/ and log in as ada, "first program"

The application checks passwords and keeps its own sessions. For somebody who is logged in, it asks
the chat for a login token, with which the page logs in to the chat. With `accounts="closed"`,
nobody gets into the chat in another way.
"""

import hmac
import secrets
from pathlib import Path

from aiohttp import web

from pychat import ChatServer

# These two stand for your database and your password hashes.
USERS = {"ada": ("Ada Lovelace", "first program"), "alan": ("Alan Turing", "imitation game")}
CHAT_PAGE = Path(__file__).with_name("chat.html")
LOGIN_PAGE = """<!doctype html><html lang="en"><title>Log in</title>
<form method="post" action="/login">
  <p><label>Id <input name="id" required></label>
  <p><label>Password <input name="password" type="password" required></label>
  <p><button>Log in</button>
</form>"""

chat_key = web.AppKey("chat", ChatServer)
sessions_key = web.AppKey("sessions", dict[str, str])


def user_of(request: web.Request) -> str | None:
    return request.app[sessions_key].get(request.cookies.get("session", ""))


async def index(request: web.Request) -> web.StreamResponse:
    if user_of(request) is None:
        return web.Response(text=LOGIN_PAGE, content_type="text/html")
    return web.FileResponse(CHAT_PAGE)


async def login(request: web.Request) -> web.Response:
    form = await request.post()
    id, password = str(form.get("id", "")), str(form.get("password", ""))
    _, expected = USERS.get(id, ("", ""))
    if not expected or not hmac.compare_digest(expected.encode(), password.encode()):
        raise web.HTTPForbidden(text="wrong id or password")
    session = secrets.token_urlsafe()
    request.app[sessions_key][session] = id
    answer = web.HTTPSeeOther("/")
    answer.set_cookie("session", session, httponly=True, samesite="Strict")
    raise answer


async def chat_token(request: web.Request) -> web.Response:
    id = user_of(request)
    if id is None:
        raise web.HTTPForbidden(text="log in first")
    token = await request.app[chat_key].issue_token(id, alias=USERS[id][0], device="web")
    return web.json_response({"id": id, "token": token})


def make_app(store: str = "sqlite:///chat.db") -> web.Application:
    app = web.Application()
    app[sessions_key] = {}
    app[chat_key] = ChatServer(store, accounts="closed")
    app[chat_key].attach(app)
    app.add_routes(
        [web.get("/", index), web.post("/login", login), web.post("/chat-token", chat_token)]
    )
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1", port=3000)
