"""Tests on a real Xen: `make test-xen`.

A Xen machine is booted under QEMU, in software, so that any machine will do: hypervisor, Linux as domain 0, and an image made of
Debian's packages and of the very Python that runs this. No right is needed but to run QEMU.

    run       from nothing to a verdict: `python -m tests.xen.run [WORD …]`, cases with one of the words in their name
    image     hypervisor, kernel, and what is not ours of the first file system: made once, kept in the user's cache
    payload   the interpreter and the tree, made anew where they have changed
    machine   QEMU, its log, its end
    init      what the kernel starts, in domain 0 and in a guest: the same image
    inside    runs the cases in domain 0, and says the verdict
    guest     what a guest's Python does
    harness   what cases are given; cases_*.py are the cases

A run that ends without a verdict has failed, whatever came before.
"""
