"""Run a command where Microsoft's names lead to this machine: `unshare -mn python inside.py HOSTS COMMAND...`.

The network is a private one with nothing but its loopback, and HOSTS lies over /etc/hosts.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1
MS_BIND = 4096


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


def lay_over_hosts(path: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(path.encode(), b"/etc/hosts", None, MS_BIND, None):
        raise OSError(ctypes.get_errno(), "the hosts file cannot be laid over /etc/hosts")


if __name__ == "__main__":
    loopback_up()
    lay_over_hosts(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
