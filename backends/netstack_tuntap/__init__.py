"""Tap and tun devices: frames and datagrams to and from the Linux kernel.

**Offloads.** A device does all that its kernel can: leaves checksums undone where nothing can be damaged, and passes units of up
to 64 KiB both ways instead of segments of 1460 bytes. `offload=no` does without, `offload=csum,tso4` with these alone; the names
are csum, tso4, tso6, tso-ecn and uso (UDP). What the kernel does not do is done here: segments that come one by one are joined
(`gro=no` leaves them apart), units are cut (`gso=no` has the stack send segments).

**Many queues.** `multi_queue=yes` opens one queue of a device that may have more: each process opens the same device, with the
same address, and has a stack of its own. The kernel spreads what is new by a hash over the queues, and answers each flow where it
last heard of it. That makes a server of many processes. Mind that

- all of them open the device with the same `offload`, since the kernel keeps one setting for the whole device;
- all queues are open before clients come: with their number the hash changes, and what was quiet for three seconds may move to a
  stack that doesn't know it;
- what a stack itself begins with *this* kernel (a connection, a ping) may be answered on another queue, for the kernel answers at
  once and learns the queue only then. With hosts behind the kernel it works;
- on a tap the stacks have one link address (give all of them the same `mac`, or none), and the answer to a question about a
  neighbour may reach another stack: it is asked again a second later.
"""

import netstack as netstack  # first: it decides which build of this package's modules is loaded

from .device import DeviceUnavailable as DeviceUnavailable
from .device import NotAllowed as NotAllowed
from .netifs import Tap as Tap
from .netifs import Tun as Tun
from .netifs import open_tap as open_tap
from .netifs import open_tun as open_tun

__all__ = ["DeviceUnavailable", "NotAllowed", "Tap", "Tun", "open_tap", "open_tun"]
