"""WebSocket (RFC 6455, 7692 permessage-deflate, 8441 over HTTP/2).

    config events handshake deflate     the bounds, the words, the fields of the opening handshake: no bytes of frames
    guard engine                        frames to messages and back, over wsproto: pure, `now` is an argument
    socket client                       faces: one WebSocket over a stream, and how a client opens one

What serves them is `serve/websocket.py`. wsproto is imported by `guard` and `engine` alone, when the first WebSocket is opened.
"""
