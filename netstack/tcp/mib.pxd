cimport cython
from netstack.counters cimport Group


@cython.final
cdef class TcpMib(Group):
    cdef public long long ActiveOpens, PassiveOpens, AttemptFails, EstabResets, CurrEstab, InSegs, OutSegs, RetransSegs
    cdef public long long InErrs, OutRsts, InCsumErrors


@cython.final
cdef class TcpExt(Group):
    cdef public long long ListenOverflows, ListenDrops, EmbryonicRsts, OutOfWindowIcmps, LockDroppedIcmps, DelayedACKs
    cdef public long long TCPTimeouts, TCPFastRetrans, TCPRenoRecovery, TCPChallengeACK, TCPSYNChallenge
    cdef public long long TCPSynRetrans, TCPSlowStartRetrans, TCPSackRecovery, TCPSackFailures, TCPRenoFailures, TCPLossFailures
    cdef public long long TCPLostRetransmit
    cdef public long long TCPLossProbes, TCPLossProbeRecovery, TCPSACKReneging, TCPSACKDiscard, TCPSACKReorder, TCPTSReorder, TCPDSACKRecv
    cdef public long long TCPDSACKIgnoredDubious, TCPDSACKOfoRecv, TCPFullUndo, TCPDSACKUndo, TCPLossUndo, SackCutsLimited
    cdef public long long TCPACKSkippedChallenge, TCPOFOQueue, TCPOFODrop, TCPRcvQDrop, TCPOFOMerge, TCPRcvCollapsed, TCPZeroWindowDrop
    cdef public long long TCPAbortOnData, TCPAbortOnTimeout, TCPAbortOnMemory, TCPKeepAlive, TCPWinProbe, TCPTimeWaitOverflow
    cdef public long long TW, TWRecycled, TCPReqQFullDrop, TCPReqQFullDoCookies, TCPACKSkippedSynRecv, PAWSOldAck, PAWSEstab, TCPDSACKOldSent, TCPDSACKOfoSent
    cdef public long long SyncookiesSent, SyncookiesRecv, SyncookiesFailed, InEarlyText
    cdef public long long TCPMemoryPressures, PruneCalled, OfoPruned, RcvPruned, TCPWantZeroWindowAdv, TCPToZeroWindowAdv
    cdef public long long TCPFromZeroWindowAdv, QuickAcks, AckHeldBack
    cdef public long long InTooShort, InBadOffset, InNotUnicast, InBadSource, InBadSyn, InNoRoute
    cdef public long long InStray, InNoAck, InBadAck, InUnacceptable, InBlindRst, InTimeWaitRst, RstLimited, SynDropped
    cdef public long long SynHeld, SynHeldAgain, SynHeldOverflows, SynHeldEvicted, SynHeldTimeouts, SynHeldResets
    cdef public long long HalfOpenTimeouts, OutFailed, TinyMss, PmtuLowered, PmtuIgnored, PersistGiveUps
