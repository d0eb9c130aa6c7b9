"""The ledger says what became of each request and of each message received.

It may import ``settings``, ``share`` and ``wire``; it knows no sockets and no event loop.
"""
