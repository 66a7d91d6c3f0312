"""Guests of emulators over unix sockets: QEMU's `-netdev stream` and `dgram`, and what speaks like them (passt's, vfkit's).

    qemu:/run/vm.sock             wait there for QEMU, or connect where QEMU waits already
    qemu:/run/vm.sock,server      -netdev stream,id=n,server=off,addr.type=unix,addr.path=/run/vm.sock
    qemu:/run/vm.sock,client      -netdev stream,id=n,server=on,addr.type=unix,addr.path=/run/vm.sock
    qemu:/run/us,dgram?remote=/run/vm
                                  -netdev dgram,id=n,local.type=unix,local.path=/run/vm,remote.type=unix,remote.path=/run/us
    qemu:/run/us,dgram            the same, and vfkit's --device virtio-net,unixSocketPath=/run/us: who speaks is answered

Whoever goes away may come back, as a guest that is restarted does. The socket's file may be used by its owner alone.
"""

import netstack as netstack  # first: it decides which build of this package's modules is loaded

from .dgram import QemuDgram as QemuDgram
from .factory import open_door as open_door
from .factory import open_qemu as open_qemu
from .stream import Door as Door
from .stream import QemuStream as QemuStream

__all__ = ["Door", "QemuDgram", "QemuStream", "open_door", "open_qemu"]
