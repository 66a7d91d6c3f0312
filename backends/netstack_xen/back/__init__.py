"""Netback: the other end of a domain's network interface, in Python."""
