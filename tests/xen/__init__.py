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
    harness   what cases are given; cases_*.py are the cases, run in the order of their files

In cases a to c pages are shared with another domain, or given to the kernel of this one. From d on a program in domain 0 maps pages
that domain 0 itself has granted. `--sanitize` puts the C extension under AddressSanitizer and UBSan, for cases in domain 0: their
report is a failure.

Programs of domain 0 that die of a segmentation fault, or of malloc()'s complaints, where none of our code explains it, are the
emulated processor's: see machine.py, which leaves out what was to blame.

A run that ends without a verdict has failed, whatever came before.
"""
