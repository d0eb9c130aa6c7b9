"""The desktop client: a Qt window that sends a request at each press and shows the reply."""
