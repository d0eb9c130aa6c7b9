"""What both ends of a connection agree on: addresses, requests and replies.

The ground floor of wsroll: everything else may import it, it imports nothing of ours.
"""
