"""The Qt window: a button, a response, and behind them what a person needs to look at a WebSocket.

``__main__`` (options, exit status) → ``application`` (loop, life cycle) → ``window`` → its parts.
"""
