"""The bulk sender: sends requests, checks every reply, and accounts for everything that happened.

The root is the command. Its rooms point one way: command → spread → engine → ledger, with reports
and faults beside. All of them may import ``settings`` and ``share``, and ``wire``.
"""
