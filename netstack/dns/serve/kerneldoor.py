"""The door on a socket of the kernel's: asyncio's protocol, on any of its loops."""

from __future__ import annotations


