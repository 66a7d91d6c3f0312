"""Frames over a descriptor: what back ends for devices of this machine's kernel share."""
