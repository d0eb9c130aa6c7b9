"""The bulk sender: sends requests, checks every reply, and counts and times them."""
