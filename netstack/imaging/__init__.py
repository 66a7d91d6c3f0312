"""Images that boot: a kernel, an interpreter, our stack and one program, and nothing else (`netstack image`).

    closure     which modules a program imports        libraries   which shared libraries they need      elf   what such a file says
    packages    a distribution's kernel, fetched and unpacked        kernel   what is in it: itself, and drivers as modules
    archive     files for an initramfs                 lz4         small, and quickly unpacked
    pvh         one file that a virtual machine starts            xen        what xl wants: a page, a kernel, an initramfs
    contents    what goes in, and how large it is      build       all of it together      boot   how it is started
    guest/      what runs inside: process 1

The page is docs/image.md.
"""
