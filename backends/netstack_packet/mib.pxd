from netstack_tuntap.mib cimport TapMib


cdef class PacketMib(TapMib):
    cdef public long long InNoRoom, InDowns
