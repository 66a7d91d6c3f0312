cimport cython
cimport netstack.tcp.const as tc


@cython.final
cdef class Settings:
    cdef readonly str congestion
    cdef readonly long long fin_timeout, keepalive, keepalive_interval, rto_min, time_wait, high, low, snd_buf_max, rcv_buf, rcv_most
    cdef readonly long long max_connections, max_half_open, max_time_wait, user_timeout
    cdef readonly int keepalive_count, syn_retries
    cdef readonly bint nodelay, sack, timestamps, rcv_auto
