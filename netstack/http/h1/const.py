"""Numbers that the reader and the connection count in. A twin: const.pxd holds the same names for C. `state.py` has the states as
enums for people, in the same order."""

LINE = 0  # the reader: before the end of the request line
FIELDS = 1  # in the header section
SIZED = 2  # in a body of known length
CHUNKED = 3  # in a chunked body
ENDLESS = 4  # in the body of a response that the end of the stream ends
DONE = 5  # a whole message was handed up: waits for `resume` or `expect`
DEAD = 6  # refused, or ended

CHUNK_SIZE = 0  # a chunked body: in the line that begins a chunk
CHUNK_DATA = 1
CHUNK_CRLF = 2  # after the data
TRAILERS = 3

CLIENT_IDLE = 0
CLIENT_BODY = 1
CLIENT_DONE = 2
CLIENT_CLOSED = 3
CLIENT_BROKEN = 4

SERVER_IDLE = 0
SERVER_OWED = 1
SERVER_BODY = 2
SERVER_DONE = 3
SERVER_CLOSED = 4

HEAD = 0  # steps
END = 1
EOF = 2
REFUSE = 3
INTERIM = 4
START = 5
FINISH = 6
NEXT = 7
CLOSE = 8
STEPS = 9
NOWHERE = 255  # a step that a state has not
