"""The store in a MongoDB database, or one that speaks its protocol (FerretDB)."""

from pychat.server.store.mongodb.store import MongoStore as MongoStore
