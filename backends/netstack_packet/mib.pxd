from netstack.device.mib cimport DeviceMib


cdef class PacketMib(DeviceMib):
    cdef public long long InNoRoom, InDowns
