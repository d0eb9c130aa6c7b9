"""The Qt window: a button, a response, and behind them what a person needs to look at a WebSocket.

``__main__`` (options, exit status) → ``application`` (loop, life cycle) → ``window`` → its panels.

Below the panels, and without widgets: ``connection`` (the WebSocket and its states), ``pairing``
(which reply belongs to which request), ``transcript`` and ``message_views`` (what came, as data and
as lines), ``bulk_run`` and ``local_server`` (the sender and the server as processes).
"""
