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
    cdef Flight flights
    cdef SendQueue queues
    cdef int spare_flights, spare_queues
    cdef readonly dict unread
    cdef int too_long
    cdef public object witness
    cdef readonly Budget budget
    cdef readonly long long rcv_buf, rcv_most
    cdef readonly int wscale
    @cython.locals(flight=Flight)
    cdef Flight lend(self, unsigned int una, long long now, long long min_rtt)
    cdef int take_back(self, Flight flight) except -1
    @cython.locals(queue=SendQueue)
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
    # Of 100,000 connections none is in the cache, and each line of it is one more to wait for. So what text in order asks for stands
    # first, with the timer in five lines (`lines.TCB` are fetched at once); what sending asks for comes next; what is rare, last
    cdef Hub hub
    cdef StreamUser user
    cdef Tcb after
    # flags are bytes: a bint is an int, and an idle connection should cost a KiB
    cdef readonly signed char state, snd_wscale, rcv_wscale, phase, timer, tlp_out, tlp_ready
    cdef unsigned char fin_queued, was_high, ts_seen, fin_seen, ack_now, touched, corked, again, shut
    cdef public unsigned char fin_waits
    cdef readonly unsigned char nodelay, paused, orphan, ts_on, sack_on, rcv_auto, answered
    cdef readonly unsigned int irs, rcv_nxt, rcv_adv, ts_recent, last_ack_sent, snd_una, snd_nxt, snd_max
    cdef unsigned int tsval, tsecr, snd_wl1, snd_wl2
    cdef int keep_sent
    cdef readonly int rcv_mss
    cdef readonly long long heard, snd_wnd, max_snd_wnd, rx_bytes, held, rcv_buf, t_rexmt
    cdef long long ts_recent_at, unacked, vouched_at, t_ack, t_keep, t_end
    cdef readonly Reassembly ooo
    cdef readonly Tuner tuner
    cdef readonly Flight flight
    cdef SendQueue sendq
    # what sends, and what acknowledgements move
    cdef unsigned int ports, pseudo, rcv_ack, small_end, recover
    cdef readonly unsigned int ts_offset
    cdef readonly int mss, retries
    cdef public int syn_retries, mark
    cdef readonly unsigned long long local, remote
    cdef Sacks sacks
    cdef readonly Rtt rtt
    cdef readonly Congestion cc
    cdef readonly Episode episode
    cdef readonly long long high, sent_at, min_rtt, acked_bytes
    cdef long long una_at, min_rtt_at
    cdef public long long user_timeout
    # the rest
    cdef readonly object error
    cdef readonly Listener listener
    cdef readonly unsigned short local_port, remote_port
    cdef unsigned long long key
    cdef readonly unsigned int iss
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
