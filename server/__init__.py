"""The server: answers each request with the request and a random number from 1 to 100."""
