"""HTTP/2 (RFC 9113): pure, over the library h2, which is imported with `engine` and not before."""
