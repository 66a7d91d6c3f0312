"""The same test under thousands of seeds and fault schedules, and the smallest that fails: `netstack.testing.explore`.

    explore     explore(scenario, ...) -> Report: what people call
    schedule    Event, Schedule: what goes wrong, where and when; installed on a virtual clock; as text and as JSON
    storms      Survey, Storm: schedules drawn from dice, aimed at what a calm run has shown
    cases       Case, Space: which cases there are; the n-th is the same whoever asks
    scenario    what is explored: its name, its marks, its runtime; how a command line names it
    attempt     one case, run and judged: Verdict. What a worker does
    crew        cases on an Executor whose workers may die
    shrinking   from a case that fails to the smallest that fails equally
    journal     results on disk, for who is interrupted
    progress    a bar on a terminal, lines elsewhere
    report      Report, Failure: what was found, for people

Import from the modules, or `explore`, `Event`, `Schedule`, `Storm` from `netstack.testing`: this one loads none of them.
"""
