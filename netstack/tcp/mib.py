"""Counters of TCP: `TcpMib` as in /proc/net/snmp; `TcpExt` as in /proc/net/netstat, and our own for what Linux lumps together."""

from ..counters import Group


class TcpMib(Group):
    MEANING = {
        "ActiveOpens": "connections begun by connect",
        "PassiveOpens": "connections begun by a SYN to a listener",
        "AttemptFails": "handshakes that failed",
        "EstabResets": "connections that went from ESTABLISHED or CLOSE-WAIT straight to CLOSED",
        "CurrEstab": "connections that are in ESTABLISHED or CLOSE-WAIT now",
        "InSegs": "segments received, bad ones too; a super-segment counts as one",
        "OutSegs": "segments sent, retransmitted ones too",
        "RetransSegs": "segments retransmitted",
        "InErrs": "segments dropped: bad header or checksum",
        "OutRsts": "segments sent with RST",
        "InCsumErrors": "segments dropped: bad checksum (counted in InErrs too)",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.ActiveOpens = 0
        self.PassiveOpens = 0
        self.AttemptFails = 0
        self.EstabResets = 0
        self.CurrEstab = 0
        self.InSegs = 0
        self.OutSegs = 0
        self.RetransSegs = 0
        self.InErrs = 0
        self.OutRsts = 0
        self.InCsumErrors = 0


class TcpExt(Group):
    MEANING = {
        # names of /proc/net/netstat
        "ListenOverflows": "SYNs dropped: the listener's accept queue is full",
        "ListenDrops": "SYNs and half-open connections dropped, whatever the reason",
        "EmbryonicRsts": "resets received in SYN-RECEIVED",
        "OutOfWindowIcmps": "ICMP errors ignored: their quote is not in flight",
        "LockDroppedIcmps": "ICMP errors ignored: about no connection of ours",
        "DelayedACKs": "acknowledgements sent by the delayed-ACK timer",
        "TCPTimeouts": "retransmission time-outs",
        "TCPFastRetrans": "segments retransmitted in fast recovery",
        "TCPRenoRecovery": "times that fast recovery was entered by duplicate ACKs",
        "TCPSynRetrans": "SYNs and SYN,ACKs sent again",
        "TCPSlowStartRetrans": "segments retransmitted in slow start after a time-out",
        "TCPLostRetransmit": "segments retransmitted and marked lost again",
        "TCPSackRecovery": "times that fast recovery was entered by SACKs",
        "TCPSackFailures": "time-outs with SACKed data in flight",
        "TCPRenoFailures": "time-outs towards a peer without SACK",
        "TCPLossFailures": "time-outs in recovery from a time-out",
        "TCPLossProbes": "tail loss probes sent (RFC 8985 7)",
        "TCPLossProbeRecovery": "tail loss probes that repaired a loss",
        "TCPSACKReneging": "peers that discarded what they had SACKed",
        "TCPSACKDiscard": "SACK blocks ignored: not within what is in flight",
        "TCPSACKReorder": "connections on which reordering was found by SACK",
        "TCPTSReorder": "connections on which reordering was found by timestamps",
        "TCPDSACKRecv": "D-SACKs received, for data before the acknowledgement",
        "TCPDSACKIgnoredDubious": "D-SACKs for data that was not lately sent again: the network has doubled it",
        "TCPDSACKOfoRecv": "D-SACKs received, for data beyond the acknowledgement",
        "TCPFullUndo": "recoveries undone: a timestamp showed that the original had arrived",
        "TCPDSACKUndo": "recoveries undone: D-SACKs reported all retransmissions as duplicates",
        "TCPLossUndo": "time-outs undone: the original had arrived",
        "TCPChallengeACK": "challenge ACKs sent (RFC 5961)",
        "TCPSYNChallenge": "challenge ACKs sent in answer to a SYN",
        "TCPACKSkippedChallenge": "challenge ACKs and ACKs of unacceptable segments not sent: the connection's rate limit",
        "TCPOFOQueue": "segments queued out of order",
        "TCPOFODrop": "segments dropped: too many pieces out of order, or the budget is used up",
        "TCPRcvQDrop": "segments of which a part was dropped: their user has paused, and the budget is used up",
        "TCPOFOMerge": "out-of-order segments that overlapped what was queued",
        "TCPRcvCollapsed": "pieces copied together in queues",
        "TCPZeroWindowDrop": "bytes-carrying segments of which nothing fitted in the window",
        "TCPAbortOnData": "connections reset: data came after close, or was unread at close",
        "TCPAbortOnTimeout": "connections given up: the peer never answered",
        "TCPAbortOnMemory": "connections dropped or refused at the bound on their number",
        "TCPKeepAlive": "keep-alive probes sent",
        "TCPWinProbe": "zero-window probes sent",
        "TCPTimeWaitOverflow": "TIME-WAITs cut short at the bound on their number",
        "TW": "TIME-WAITs that lasted to their end",
        "TWRecycled": "TIME-WAITs ended by a new connection",
        "PAWSOldAck": "bare ACKs dropped: others had overtaken them, by their timestamps",
        "PAWSEstab": "segments dropped: their timestamp is older than the last (RFC 7323 5)",
        "TCPDSACKOldSent": "D-SACKs sent for data that had been acknowledged",
        "TCPDSACKOfoSent": "D-SACKs sent for data that was queued out of order",
        "TCPReqQFullDoCookies": "SYNs answered by a cookie: their listener has no place for a half-open connection",
        "TCPReqQFullDrop": "half-open connections dropped at random to make room for a SYN",
        "SyncookiesSent": "SYN cookies sent",
        "SyncookiesRecv": "ACKs that brought a SYN cookie back: connections made of them, or refused for want of room",
        "SyncookiesFailed": "ACKs to a listener that has sent cookies, and this is none of them",
        "TCPACKSkippedSynRecv": "SYN,ACKs not sent again: the peer repeats its SYN too often",
        "TCPMemoryPressures": "times that the bytes in all queues together passed the soft level of the budget",
        "PruneCalled": "times that the budget was used up when data came in order for a user who had paused",
        "OfoPruned": "out-of-order queues dropped then, to make room for what was in order",
        "RcvPruned": "times that this was not enough, or there was none",
        "TCPWantZeroWindowAdv": "segments that would have shut the window, had not more been promised: the edge never moves left",
        "TCPToZeroWindowAdv": "times that our window went to zero",
        "TCPFromZeroWindowAdv": "times that it opened again",
        # ours
        "QuickAcks": "text acknowledged at once, after a lull, since the program does not answer what comes",
        "AckHeldBack": "ACKs that left the last bytes out: the window could not be said without offering what is not there",
        "InTooShort": "dropped: shorter than a header",
        "InBadOffset": "dropped: a header length below 20 or beyond the segment",
        "InNotUnicast": "dropped: to a broadcast or multicast address",
        "InBadSource": "dropped: a source that can't be one, or our own address and port (LAND)",
        "InBadSyn": "dropped: SYN with FIN or from port 0",
        "InNoRoute": "SYNs dropped: there is no way back to their sender",
        "InEarlyText": "dropped: belongs to a SYN cookie whose ACK and first text have not come",
        "InStray": "dropped: no connection, and nothing that deserves an answer",
        "InNoAck": "dropped: no ACK bit where it must be",
        "InBadAck": "acknowledges what was never sent, or too old (RFC 5961 5)",
        "InUnacceptable": "not in the receive window: answered, if the limit allows, and dropped",
        "InBlindRst": "resets not exactly at RCV.NXT: challenged or dropped (RFC 5961 3)",
        "InTimeWaitRst": "resets ignored in TIME-WAIT (RFC 1337)",
        "RstLimited": "resets to strangers not sent: rate limit",
        "SynHeld": "SYNs held for a catcher's word",
        "SynHeldAgain": "SYNs that repeat one which is held: not answered",
        "SynHeldOverflows": "SYNs dropped: the table of held ones is full, and their source has most of it",
        "SynHeldEvicted": "held SYNs forgotten for want of room: their source had most of it",
        "SynHeldTimeouts": "held SYNs forgotten: nobody decided in time",
        "SynHeldResets": "held SYNs that their peers took back by a RST",
        "SynDropped": "SYNs and cookies dropped: the connection table is full",
        "HalfOpenTimeouts": "half-open connections given up",
        "OutFailed": "segments that the layer below could not send: as good as lost",
        "TinyMss": "peers that announced less than the smallest MSS",
        "PmtuLowered": "MSS lowered by a fragmentation needed",
        "PmtuIgnored": "fragmentation needed with an MTU that is too small to be believed, or not smaller than ours",
        "SackCutsLimited": "SACK blocks not used in full: the scoreboard has too many runs",
        "PersistGiveUps": "closed connections dropped: the peer kept its window shut",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.ListenOverflows = 0
        self.ListenDrops = 0
        self.EmbryonicRsts = 0
        self.OutOfWindowIcmps = 0
        self.LockDroppedIcmps = 0
        self.DelayedACKs = 0
        self.TCPTimeouts = 0
        self.TCPFastRetrans = 0
        self.TCPRenoRecovery = 0
        self.TCPSynRetrans = 0
        self.TCPSlowStartRetrans = 0
        self.TCPLostRetransmit = 0
        self.TCPSackRecovery = 0
        self.TCPSackFailures = 0
        self.TCPRenoFailures = 0
        self.TCPLossFailures = 0
        self.TCPLossProbes = 0
        self.TCPLossProbeRecovery = 0
        self.TCPSACKReneging = 0
        self.TCPSACKDiscard = 0
        self.TCPSACKReorder = 0
        self.TCPTSReorder = 0
        self.TCPDSACKRecv = 0
        self.TCPDSACKIgnoredDubious = 0
        self.TCPDSACKOfoRecv = 0
        self.TCPFullUndo = 0
        self.TCPDSACKUndo = 0
        self.TCPLossUndo = 0
        self.TCPChallengeACK = 0
        self.TCPSYNChallenge = 0
        self.TCPACKSkippedChallenge = 0
        self.TCPOFOQueue = 0
        self.TCPOFODrop = 0
        self.TCPRcvQDrop = 0
        self.TCPOFOMerge = 0
        self.TCPRcvCollapsed = 0
        self.TCPZeroWindowDrop = 0
        self.TCPAbortOnData = 0
        self.TCPAbortOnTimeout = 0
        self.TCPAbortOnMemory = 0
        self.TCPKeepAlive = 0
        self.TCPWinProbe = 0
        self.TCPTimeWaitOverflow = 0
        self.TW = 0
        self.TWRecycled = 0
        self.PAWSOldAck = 0
        self.PAWSEstab = 0
        self.TCPDSACKOldSent = 0
        self.TCPDSACKOfoSent = 0
        self.TCPReqQFullDoCookies = 0
        self.TCPReqQFullDrop = 0
        self.SyncookiesSent = 0
        self.SyncookiesRecv = 0
        self.SyncookiesFailed = 0
        self.TCPACKSkippedSynRecv = 0
        self.TCPMemoryPressures = 0
        self.PruneCalled = 0
        self.OfoPruned = 0
        self.RcvPruned = 0
        self.TCPWantZeroWindowAdv = 0
        self.TCPToZeroWindowAdv = 0
        self.TCPFromZeroWindowAdv = 0
        self.QuickAcks = 0
        self.AckHeldBack = 0
        self.InTooShort = 0
        self.InBadOffset = 0
        self.InNotUnicast = 0
        self.InBadSource = 0
        self.InBadSyn = 0
        self.InNoRoute = 0
        self.InEarlyText = 0
        self.InStray = 0
        self.InNoAck = 0
        self.InBadAck = 0
        self.InUnacceptable = 0
        self.InBlindRst = 0
        self.InTimeWaitRst = 0
        self.RstLimited = 0
        self.SynHeld = 0
        self.SynHeldAgain = 0
        self.SynHeldOverflows = 0
        self.SynHeldEvicted = 0
        self.SynHeldTimeouts = 0
        self.SynHeldResets = 0
        self.SynDropped = 0
        self.HalfOpenTimeouts = 0
        self.OutFailed = 0
        self.TinyMss = 0
        self.PmtuLowered = 0
        self.PmtuIgnored = 0
        self.SackCutsLimited = 0
        self.PersistGiveUps = 0
