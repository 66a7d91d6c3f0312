"""A capture explained: what its connections did, drawn and in words (`netstack explain FILE`).

series    points of a diagram, thinned as they come
way       one direction: what was sent, and what the other side said of it
talk      a connection: both directions, handshake, turns, end
gather    the connections of a file
findings  what can be learnt of one, in sentences
shapes    diagrams as shapes: times and numbers to coordinates
page      one HTML file; or an SVG of one connection
"""
