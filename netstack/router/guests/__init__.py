"""What a guest hangs on: devices inside other namespaces, sockets of emulators, and a switch where there are several."""
