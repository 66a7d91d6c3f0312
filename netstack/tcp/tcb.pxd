cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.cores cimport IpCore, Out, StreamUser
from netstack.tcp.budget cimport Budget
from netstack.tcp.congestion.base cimport Congestion
from netstack.tcp.mib cimport TcpExt, TcpMib
from netstack.tcp.queues cimport Reassembly, SendQueue
from netstack.tcp.rtt cimport Rtt
from netstack.tcp.sack cimport Sacks
from netstack.tcp.tuning cimport Tuner
from netstack.timers cimport Timer, Timers


cdef class Hub:
    cdef readonly object face, config, rng
    cdef IpCore ip
    cdef readonly int offload
    cdef readonly Timers timers
    cdef readonly TcpMib mib
    cdef readonly TcpExt ext
    cdef Out out
    cdef bint batch
    cdef readonly list todo
    cdef readonly dict unread
    cdef int too_long
    cdef readonly Budget budget
    cdef readonly long long rcv_buf, rcv_most
    cdef readonly int wscale
    cdef void touch(self, Tcb c) except *
    @cython.locals(p=Out, off=Py_ssize_t, check="unsigned int")
    cdef bint ship(self, int hl, unsigned long long src, unsigned long long dst, unsigned int pseudo, object data, Py_ssize_t o, Py_ssize_t n, int gso, long long now) except *
    @cython.locals(p=Out)
    cdef void bare(self, unsigned long long src, unsigned long long dst, unsigned int ports, unsigned int seq, unsigned int ack, unsigned int flags, unsigned int wnd, long long now) except *
    cdef void remove(self, Tcb c) except *
    cdef unsigned int ts_offset(self, Tcb c) except *
    cdef void graduate(self, Tcb c) except *
    cdef void rest(self, Tcb c, long long now) except *
    cdef void forget(self, Timer tw) except *


cdef class Tcb(Timer):
    cdef Hub hub
    cdef StreamUser user
    cdef readonly object listener
    cdef readonly unsigned long long local, remote
    cdef readonly int local_port, remote_port, state
    cdef unsigned int ports, pseudo
    cdef unsigned long long key
    cdef readonly unsigned int iss, snd_una, snd_nxt, snd_max
    cdef readonly long long snd_wnd, max_snd_wnd
    cdef unsigned int snd_wl1, snd_wl2, small_end, rtt_seq, recover
    cdef readonly int snd_wscale, mss, path_mtu
    cdef SendQueue sendq
    cdef bint fin_queued, was_high, timing, partial, syn_lost
    cdef readonly bint nodelay, recovering, persisting, paused, orphan, ended
    cdef readonly long long high, low
    cdef readonly Rtt rtt
    cdef readonly Congestion cc
    cdef readonly object congestion
    cdef long long rtt_at, una_at, sent_at, rexmt_at
    cdef readonly int dupacks, retries
    cdef readonly long long inflate, retransmits
    cdef readonly object soft_error, error
    cdef readonly bint ts_on
    cdef bint ts_seen
    cdef readonly bint sack_on
    cdef Sacks sacks
    cdef int ts_space
    cdef readonly unsigned int ts_offset, ts_recent
    cdef long long ts_recent_at
    cdef unsigned int tsval, tsecr, last_ack_sent
    cdef readonly unsigned int irs, rcv_nxt, rcv_adv
    cdef unsigned int fin_at
    cdef readonly int rcv_wscale, rcv_mss, adv_mss
    cdef readonly long long rx_bytes
    cdef readonly Reassembly ooo
    cdef object rx
    cdef bint fin_seen, eof_owed, ack_now, touched
    cdef long long unacked, challenged_at, vouched_at
    cdef readonly long long rcv_buf
    cdef unsigned int rcv_ack
    cdef unsigned char rcv_auto, again, shut
    cdef readonly Tuner tuner
    cdef Py_ssize_t half
    cdef long long heard, t_rexmt, t_ack, t_keep, t_end, keep_idle, keep_interval
    cdef int keep_count, keep_sent
    @cython.locals(old=int, mib=TcpMib, was=bint, now_is=bint)
    cdef void become(self, int new) except *
    cdef unsigned int ts_now(self, long long now) noexcept
    @cython.locals(when="long long")
    cdef void rearm(self) except *
    cdef void vouch(self, long long now) except *
    cdef void flush(self, long long now) except *
