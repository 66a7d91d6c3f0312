"""HTTP/1.1 (RFC 9112) without I/O: bytes to events and events to bytes."""
