"""From the plain data of a run to each output: the summary, the page, the files, the checks.

It may import ``ledger``, ``settings`` and ``wire``.
"""
