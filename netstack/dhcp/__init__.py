"""DHCP (RFC 2131): the words (const, options, message), a server and a client without input or output, and both on a stack."""
