"""Serving: one connection, the server, and what applications look like to it."""
