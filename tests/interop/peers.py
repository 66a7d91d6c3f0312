"""Programs for the kernel's side of the laboratory, run there with their own interpreter: peers that behave badly."""

# opens connections from an address of its own, then takes that address away in the middle of the transfer
VANISH = """
import socket, subprocess, sys
stack, address = sys.argv[1:]
subprocess.run(["ip", "addr", "add", address + "/24", "dev", "tap0"], check=True)
peers = []
for i in range(20):
    s = socket.create_connection((stack, 80), source_address=(address, 0), timeout=10)
    s.sendall(b"GET /big.bin HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    s.recv(1000)
    peers.append(s)
subprocess.run(["ip", "addr", "del", address + "/24", "dev", "tap0"], check=True)
"""

# asks for a big file, and never reads a byte of it
NEVER_READS = """
import socket, sys, time
peers = []
for i in range(50):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect((sys.argv[1], 80))
    s.sendall(b"GET /big.bin HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    peers.append(s)
time.sleep(2)
"""

# SYNs from everywhere, half of them from neighbours that do not exist, as raw frames
SYN_FLOOD = """
import random, socket, struct, sys
count = int(sys.argv[1])
mine, theirs = (bytes.fromhex(a.replace(":", "")) for a in sys.argv[2:4])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("tap0", 0))

def fold(n):
    while n >> 16:
        n = (n & 0xFFFF) + (n >> 16)
    return n

dst = struct.unpack("!I", socket.inet_aton("10.79.0.2"))[0]
ether = theirs + mine + b"\\x08\\x00"
rng = random.Random(1)
for i in range(count):
    src = 0x0A4F0000 | rng.randrange(3, 255) if i & 1 else rng.getrandbits(29) | 0x20000000
    sport, seq = rng.randrange(1024, 65536), rng.getrandbits(32)
    total = (src >> 16) + (src & 0xFFFF) + (dst >> 16) + (dst & 0xFFFF)
    ip = fold(total + 0x4500 + 40 + 0x4000 + 0x4006) ^ 0xFFFF
    tcp = fold(total + 6 + 20 + sport + 80 + (seq >> 16) + (seq & 0xFFFF) + 0x5002 + 0x2000) ^ 0xFFFF
    frame = ether + struct.pack("!HHHHBBHII", 0x4500, 40, 0, 0x4000, 64, 6, ip, src, dst)
    frame += struct.pack("!HHIIHHHH", sport, 80, seq, 0, 0x5002, 0x2000, tcp, 0)
    try:
        s.send(frame)
    except OSError:
        pass
"""
