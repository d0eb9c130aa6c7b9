"""The self-test: a path that is broken on purpose, to see that the sender reports each fault.

It may import ``engine``, ``ledger``, ``reports``, ``settings`` and ``wire``.
"""
