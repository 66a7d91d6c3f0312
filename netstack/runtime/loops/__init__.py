"""Event loops whose network can be a net, for programs that know nothing of stacks.

    mix            what such a loop does with each of asyncio's calls
    adoption       kernel's sockets that programs made themselves, and that become the stack's
    readiness      `add_reader` and its like for sockets of the stack
    substitute     the same for scripts that make their loops themselves: `netstack run`
"""
