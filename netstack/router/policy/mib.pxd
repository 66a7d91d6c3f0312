from netstack.counters cimport Group


cdef class PolicyMib(Group):
    cdef public long long Flows, Allowed, Denied, DeniedRule, DeniedDefault, DeniedGuarded, \
        DeniedRebinding, DeniedSpoofed, DeniedFlood, DeniedMismatch, DeniedNameless, DeniedMalformed, \
        DeniedHook, DeniedHookFailed, DeniedHookTimedOut, DeniedQuestion, DeniedRequest, DeniedCertificate, \
        Inspected, Learnt, Forgotten, Requests, RequestsAnswered, Secrets, \
        Upgrades, Intercepted, InterceptErrors, Certificates, ListenerErrors
