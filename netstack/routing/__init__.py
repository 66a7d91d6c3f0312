"""Routing between devices: forwarding, and translation of addresses with connection tracking.

    plane    a packet's way from one device to another (RFC 1812)         cut, report   fragments, ICMP errors
    track    the flows that were seen, how long they live, who pays       tcptrack      what TCP's flags say of a flow
    nat      the mappings of inside to outside endpoints (RFC 4787)       pieces        fragments that follow their first one
    stack    one host with several devices, whose packets pass the plane
"""
