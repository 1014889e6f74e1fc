"""The chat: accounts, delivery, presence, rooms, limits. Imports no aiohttp and no SQL."""

from pychat.server.chat.accounts.authentication import MIN_PASSWORD as MIN_PASSWORD
from pychat.server.chat.accounts.authentication import AccountsMode as AccountsMode
from pychat.server.chat.accounts.passwords import hash_password as hash_password
from pychat.server.chat.chat import Chat as Chat
from pychat.server.chat.events.files import FileSettings as FileSettings
from pychat.server.chat.limits import Limits as Limits
from pychat.server.chat.limits import Rate as Rate
from pychat.server.chat.state.session import EncodeEvent as EncodeEvent
