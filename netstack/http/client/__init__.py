"""The client's face: pool, redirections, proxies, over any StreamStack."""
