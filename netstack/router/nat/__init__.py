"""NAT to sockets: what guests begin goes on through the host's own sockets, and needs no right to do so."""
