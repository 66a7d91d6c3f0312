"""Zones: what a server says of names that are its own."""
