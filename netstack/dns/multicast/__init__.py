"""DNS without servers: everybody answers for himself, to a group on the link (RFC 6762), where services are found (RFC 6763)."""
