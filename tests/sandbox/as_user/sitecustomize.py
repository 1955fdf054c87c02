"""Makes a Python that root starts run as nobody, who may read the libraries wherever root keeps them."""

import ctypes
import os
import struct

_NOBODY = 65534
_KEEP_CAPABILITIES = 8
_READ_SEARCH = 1 << 2

if os.geteuid() == 0 and os.environ.get("LANG") == "as-user":
    _libc = ctypes.CDLL(None, use_errno=True)
    _libc.prctl(_KEEP_CAPABILITIES, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    _head = struct.pack("=Ii", 0x20080522, 0)
    if _libc.capset(_head, struct.pack("=6I", _READ_SEARCH, _READ_SEARCH, 0, 0, 0, 0)):
        raise OSError(ctypes.get_errno(), "capset")
