cimport netstack.const as const

cpdef bint lt(unsigned int a, unsigned int b) noexcept
cpdef bint le(unsigned int a, unsigned int b) noexcept
cpdef unsigned int add(unsigned int a, long long n) noexcept
cpdef unsigned int sub(unsigned int a, unsigned int b) noexcept
cpdef bint between(unsigned int a, unsigned int b, unsigned int c) noexcept
cpdef unsigned int latest(unsigned int a, unsigned int b) noexcept
