"""The engine sends and receives: it opens connections, keeps them filled, and hands replies over.

It may import ``ledger``, ``settings``, ``share`` and ``wire``.
"""
