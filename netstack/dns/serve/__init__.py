"""The server of names: who gets which answer, and the ports that carry it."""
