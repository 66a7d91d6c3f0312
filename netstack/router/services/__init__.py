"""What a router does for its guests beside carrying their packets: addresses, names, port forwards, and a door for whoever runs
it."""
