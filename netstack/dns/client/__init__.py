"""Asking: who drives a question over sockets, the resolver that programs hold, and what their names become before and after."""
