"""Serve: a page and an API, jobs in a queue, one process that works on them."""
