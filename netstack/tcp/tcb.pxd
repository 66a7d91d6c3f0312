cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.serial as serial
cimport netstack.tcp.const as tc
from netstack.cores cimport IpCore, Out, StreamUser
from netstack.tcp.budget cimport Budget
from netstack.tcp.congestion.base cimport Congestion
from netstack.tcp.listener cimport Listener
from netstack.tcp.mib cimport TcpExt, TcpMib
from netstack.tcp.queues cimport Reassembly, SendQueue
from netstack.tcp.recovery.episode cimport Episode
from netstack.tcp.recovery.rack cimport Flight
from netstack.tcp.rtt cimport Rtt
from netstack.tcp.sack cimport Sacks
from netstack.tcp.settings cimport Settings
from netstack.tcp.tuning cimport Tuner
from netstack.timers cimport Timer, Timers


cdef bytearray _ALLOWED


cdef class Hub:
    cdef readonly object face, config, rng
    cdef readonly Settings settings
    cdef IpCore ip
    cdef readonly int offload
    cdef readonly Timers timers
    cdef readonly TcpMib mib
    cdef readonly TcpExt ext
    cdef Out out
    cdef bint batch
    cdef readonly Tcb todo
    cdef readonly list flights
    cdef readonly dict unread
    cdef int too_long
    cdef readonly Budget budget
    cdef readonly long long rcv_buf, rcv_most
    cdef readonly int wscale
    @cython.locals(flight=Flight)
    cdef Flight lend(self, unsigned int una, long long now, long long min_rtt)
    cdef int take_back(self, Flight flight) except -1
    cdef int touch(self, Tcb c) except -1
    @cython.locals(p=Out, off=Py_ssize_t, check="unsigned int")
    cdef bint ship(self, int hl, unsigned long long src, unsigned long long dst, unsigned int pseudo, object data, Py_ssize_t o, Py_ssize_t n, int gso, long long now) except -1
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
    cdef Tcb after
    cdef readonly Listener listener
    cdef readonly unsigned long long local, remote
    cdef readonly unsigned short local_port, remote_port
    cdef readonly signed char state
    cdef unsigned int ports, pseudo
    cdef unsigned long long key
    cdef readonly unsigned int iss, snd_una, snd_nxt, snd_max
    cdef readonly long long snd_wnd, max_snd_wnd
    cdef unsigned int snd_wl1, snd_wl2, small_end, recover, tlp_end
    cdef readonly signed char snd_wscale, rcv_wscale
    cdef readonly int mss, path_mtu
    cdef SendQueue sendq
    # flags are bytes: a bint is an int, and an idle connection should cost a KiB
    cdef unsigned char fin_queued, was_high, syn_lost, ts_seen, fin_seen, eof_owed, ack_now, touched
    cdef readonly unsigned char nodelay, paused, orphan, ended, ts_on, sack_on
    cdef readonly long long high, low
    cdef readonly Rtt rtt
    cdef readonly Congestion cc
    cdef readonly object congestion
    cdef readonly Flight flight
    cdef readonly Episode episode
    cdef readonly object history
    cdef readonly signed char phase, timer, tlp_out, tlp_ready
    cdef readonly unsigned char reordered, reo_mult, reo_persist
    cdef readonly long long min_rtt, acked_bytes, rate, retransmits
    cdef long long una_at, min_rtt_at
    cdef readonly long long sent_at
    cdef readonly int retries
    cdef readonly object soft_error, error
    cdef Sacks sacks
    cdef int ts_space
    cdef readonly unsigned int ts_offset, ts_recent
    cdef long long ts_recent_at
    cdef unsigned int tsval, tsecr, last_ack_sent
    cdef readonly unsigned int irs, rcv_nxt, rcv_adv
    cdef unsigned int fin_at
    cdef readonly int rcv_mss, adv_mss
    cdef readonly long long rx_bytes, held
    cdef readonly Reassembly ooo
    cdef object rx
    cdef long long unacked, challenged_at, vouched_at
    cdef readonly long long rcv_buf
    cdef unsigned int rcv_ack
    cdef readonly unsigned char rcv_auto
    cdef unsigned char again, shut
    cdef readonly Tuner tuner
    cdef Py_ssize_t half
    cdef readonly long long heard, t_rexmt
    cdef long long t_ack, t_keep, t_end, keep_idle, keep_interval
    cdef int keep_count, keep_sent
    @cython.locals(old=int, mib=TcpMib, was=bint, now_is=bint)
    cdef int become(self, int new) except -1
    cdef unsigned int ts_now(self, long long now) noexcept
    @cython.locals(when="long long")
    cdef int rearm(self) except -1
    cdef void vouch(self, long long now) except *
    cdef void flush(self, long long now) except *
