"""The server of names: who gets which answer, and the ports that carry it.

desk        a message comes, the answer goes: the way that every query takes       replies    the answer's OPT record, TC, signature
lookup      what several zones say together        handlers, view    Python that answers; what only some clients see
orders      transfers, updates, notifications      later             answers that are owed, and who waits for them
quick       the short way: ready answers (shelf, enclosers), cookies, rate limits (limiter, limits)
server      the face: ports, connections (session), tasks; `mount` puts the short way in front (door, socketdoor, kerneldoor)
secondaries, notifier    copies of others' zones, and telling others of ours
config      every bound and time-out, each with the reason for it
"""
