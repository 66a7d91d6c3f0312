# The first instructions of an image: see pvh.py, which has them as bytes (CODE), and a test that compares.
#
#   as --32 pvh.S && objcopy -O binary a.out
#
# 32 bits, no paging, flat segments, %ebx = struct hvm_start_info (xen/include/public/arch-x86/hvm/start_info.h). The address of the
# table is put in place of 0x11111111 when an image is made.

        .text
        .globl  _start
_start:
        cld
        movl    $0x11111111, %ebp       # the table
        movl    0(%ebp), %esp           # a stack
        # -- the command line: ours, under emulation more of ours, then what the loader was given
        movl    8(%ebp), %edi           # where all are put together
        movl    4(%ebp), %esi           # ours
        call    copy
        pushl   %ebx
        movl    $0x40000000, %eax       # who is the hypervisor?
        cpuid
        cmpl    $0x54474354, %ebx       # "TCGT": QEMU's translator
        popl    %ebx
        jne     2f
        movl    24(%ebp), %esi          # ours under emulation
        call    copy
2:      movl    12(%ebp), %edx          # where it ends at the latest
        movl    24(%ebx), %esi          # cmdline_paddr
        testl   %esi, %esi
        jz      4f
        movb    $0x20, %al
        stosb
3:      cmpl    %edx, %edi
        jae     4f
        lodsb
        testb   %al, %al
        jz      4f
        stosb
        jmp     3b
4:      xorl    %eax, %eax
        stosb
        movl    8(%ebp), %eax
        movl    %eax, 24(%ebx)
        # -- the initramfs, unless the loader brought one
        cmpl    $0, 12(%ebx)            # nr_modules
        jne     5f
        movl    $1, 12(%ebx)
        movl    16(%ebp), %eax          # our list of modules
        movl    %eax, 16(%ebx)          # modlist_paddr
        xorl    %eax, %eax
        movl    %eax, 20(%ebx)
5:      pushl   %ebx
        pushl   20(%ebp)                # where the kernel begins
        leal    28(%ebp), %ebx
        # -- blocks of LZ4, one after the other: address, length, where to
6:      movl    0(%ebx), %esi
        testl   %esi, %esi
        jz      12f
        movl    4(%ebx), %ebp
        addl    %esi, %ebp              # the end of the block
        movl    8(%ebx), %edi
        addl    $12, %ebx
        xorl    %eax, %eax
7:      lodsb                           # a token
        movl    %eax, %edx
        shrl    $4, %eax
        movl    %eax, %ecx              # literals
        cmpb    $15, %al
        jne     9f
8:      lodsb
        addl    %eax, %ecx
        cmpb    $255, %al
        je      8b
9:      rep movsb
        cmpl    %ebp, %esi
        jae     6b                      # a block ends in literals
        xorl    %eax, %eax
        lodsw                           # how far back
        andl    $15, %edx
        movl    %edx, %ecx
        pushl   %eax
        xorl    %eax, %eax
        cmpl    $15, %ecx
        jne     11f
10:     lodsb
        addl    %eax, %ecx
        cmpb    $255, %al
        je      10b
11:     addl    $4, %ecx
        popl    %edx
        pushl   %esi
        movl    %edi, %esi
        subl    %edx, %esi
        rep movsb
        popl    %esi
        jmp     7b
        # -- pieces that must lie lower than where they came out: address, length, where to
12:     addl    $4, %ebx
13:     movl    0(%ebx), %esi
        testl   %esi, %esi
        jz      14f
        movl    4(%ebx), %ecx
        movl    8(%ebx), %edi
        addl    $12, %ebx
        movl    %ecx, %edx
        shrl    $2, %ecx                # by words, as far as it goes: under emulation each repetition costs the same
        rep movsl
        movl    %edx, %ecx
        andl    $3, %ecx
        rep movsb
        jmp     13b
14:     popl    %eax
        popl    %ebx
        jmp     *%eax
        # -- what %esi names, to %edi, without its end
15:     stosb
copy:   lodsb
        testb   %al, %al
        jnz     15b
        ret
