"""Services that are started when somebody asks for them, and stopped when nobody does (MirageOS's Jitsu).

    service     one of them: a name, an address, how it is started: what a user says, and what its life has been so far
    appliance   names and SYNs in front of several: the DNS answers and has the service started, a SYN waits until it is up
    instances   what is started: a process, an image in a virtual machine; or anything that can be reached and stopped

The page is docs/image.md; examples/justintime.py is a program of them.
"""
