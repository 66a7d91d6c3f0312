"""The DNS: messages and records on the wire and in text, and the cores of resolvers and servers. Nothing here waits."""
