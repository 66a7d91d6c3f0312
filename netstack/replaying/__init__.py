"""A capture that answers back: its other hosts are played to a stack, and what the stack sends is held against what was captured.

    steps     a captured conversation and its packets, by offsets; script: all conversations of one host
    expected  a stream put together from captured segments, that knows which packet each byte came in
    order     other orders of the same segments: reversed, twice, in pieces
    talk      a TCP connection at play: numbers, windows, options and timestamps mapped from then to now
    exchange  datagrams and echoes at play
    player    everybody else: the node of a world that plays all talks
    puppet    programs that say what the captured host said
    compare   two streams and their first difference; report: what came of it all, to print and as JSON
    stage     a world with our host, the player, and the link between
    replay    `netstack.replay`, on asyncio and trio
"""
