"""Persist accounts, conversations and messages. Knows no sockets."""

from pychat.server.store.address import open_store as open_store
from pychat.server.store.base import AlreadyExists as AlreadyExists
from pychat.server.store.base import InvalidStoreAddress as InvalidStoreAddress
from pychat.server.store.base import Store as Store
from pychat.server.store.base import StoreDamaged as StoreDamaged
from pychat.server.store.base import StoreError as StoreError
from pychat.server.store.base import StoreLost as StoreLost
from pychat.server.store.base import StoreMissing as StoreMissing
from pychat.server.store.base import StoreUnavailable as StoreUnavailable
