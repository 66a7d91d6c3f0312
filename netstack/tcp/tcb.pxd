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
    cdef bint batch, gathers
    cdef readonly Tcb todo
    cdef readonly list flights, queues
    cdef readonly dict unread
    cdef int too_long
    cdef public object witness
    cdef readonly Budget budget
    cdef readonly long long rcv_buf, rcv_most
    cdef readonly int wscale
    @cython.locals(flight=Flight)
    cdef Flight lend(self, unsigned int una, long long now, long long min_rtt)
    cdef int take_back(self, Flight flight) except -1
    cdef SendQueue lend_queue(self)
    cdef int take_queue(self, SendQueue queue) except -1
    cdef int touch(self, Tcb c) except -1
    @cython.locals(p=Out, off=Py_ssize_t, check="unsigned int")
    cdef bint ship(self, int hl, unsigned long long src, unsigned long long dst, unsigned int pseudo, Py_ssize_t n, int gso, int mark, long long now) except -1
    @cython.locals(p=Out)
    cdef void bare(self, unsigned long long src, unsigned long long dst, unsigned int ports, unsigned int seq, unsigned int ack, unsigned int flags, unsigned int wnd, long long now) except *
    cdef void remove(self, Tcb c) except *
    cdef unsigned int ts_offset(self, Tcb c) except *
    cdef void graduate(self, Tcb c) except *
    cdef void rest(self, Tcb c, long long now) except *
    cdef void forget(self, Timer tw) except *


cdef class Tcb(Timer):
    # What every segment asks for stands together, in six cache lines; of 100,000 connections none is in the cache
    cdef Hub hub
    cdef StreamUser user
    cdef Tcb after
    cdef SendQueue sendq
    cdef readonly Rtt rtt
    cdef readonly Congestion cc
    cdef readonly Flight flight
    cdef readonly Episode episode
    cdef Sacks sacks
    cdef readonly Reassembly ooo
    cdef readonly Tuner tuner
    cdef readonly object error
    cdef readonly signed char state, snd_wscale, rcv_wscale, phase, timer, tlp_out, tlp_ready
    # flags are bytes: a bint is an int, and an idle connection should cost a KiB
    cdef unsigned char fin_queued, was_high, ts_seen, fin_seen, ack_now, touched, corked, again, shut
    cdef public unsigned char fin_waits
    cdef readonly unsigned char nodelay, paused, orphan, ts_on, sack_on, rcv_auto
    cdef unsigned int ports, pseudo
    cdef readonly unsigned int snd_una, snd_nxt, snd_max, rcv_nxt, rcv_adv, ts_offset, ts_recent, last_ack_sent
    cdef unsigned int snd_wl1, snd_wl2, small_end, recover, rcv_ack, tsval, tsecr
    cdef readonly int mss, rcv_mss, retries
    cdef int keep_sent
    cdef public int syn_retries, mark
    cdef public long long user_timeout
    cdef readonly unsigned long long local, remote
    cdef readonly long long snd_wnd, max_snd_wnd, rx_bytes, held, rcv_buf, high, heard, sent_at, min_rtt, acked_bytes, t_rexmt
    cdef long long unacked, una_at, min_rtt_at, vouched_at, ts_recent_at, t_ack, t_keep, t_end
    # the rest
    cdef readonly Listener listener
    cdef readonly unsigned short local_port, remote_port
    cdef unsigned long long key
    cdef readonly unsigned int iss, irs
    cdef unsigned int tlp_end, fin_at
    cdef readonly int path_mtu, adv_mss
    cdef readonly long long low
    cdef readonly object congestion, history, soft_error
    cdef readonly unsigned char reordered, reo_mult, reo_persist, ended
    cdef unsigned char syn_lost, eof_owed
    cdef readonly long long rate, retransmits
    cdef int ts_space
    cdef object rx
    cdef long long challenged_at
    cdef Py_ssize_t half
    cdef long long keep_idle, keep_interval
    cdef int keep_count
    @cython.locals(old=int, mib=TcpMib, was=bint, now_is=bint)
    cdef int become(self, int new) except -1
    cdef unsigned int ts_now(self, long long now) noexcept
    @cython.locals(when="long long")
    cdef int rearm(self) except -1
    cdef void vouch(self, long long now) except *
    cdef void flush(self, long long now) except *
