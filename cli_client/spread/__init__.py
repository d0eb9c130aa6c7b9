"""One run spread over processes and machines: each does a share, and the results are added up.

It may import ``engine``, ``ledger``, ``settings``, ``share`` and ``wire``.
"""
