"""What a line of curl's asks for: the options of one group of it."""

from __future__ import annotations

from attrs import Factory, define

from ...errors import UsageError


class Wrong(UsageError):
    """A line that asks for nothing that can be done."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status


@define
class Options:
    """All that a line says. Names are curl's long ones."""

    urls: list[str] = Factory(list)
    outputs: list[str | None] = Factory(list)  # of -o and -O, in their order: None is -O
    output_dir: str = ""
    create_dirs: bool = False
    verbose: bool = False
    silent: bool = False
    show_error: bool = False
    no_progress_meter: bool = False
    fail: bool = False
    fail_with_body: bool = False
    fail_early: bool = False
    remove_on_error: bool = False
    remote_name_all: bool = False
    remote_header_name: bool = False
    remote_time: bool = False
    parallel: bool = False
    parallel_max: int = 50
    stderr: str = ""
    globoff: bool = False
    head: bool = False
    include: bool = False
    dump_header: str = ""
    get: bool = False
    request: str = ""
    data: list[bytes] = Factory(list)
    json: bool = False
    form: list[tuple[str, bool]] = Factory(list)  # what -F says; is it plain text?
    upload_files: list[str] = Factory(list)
    headers: list[str] = Factory(list)
    user: str = ""
    oauth2_bearer: str = ""
    netrc: str | None = None  # where it is
    url_query: list[str] = Factory(list)
    path_as_is: bool = False
    request_target: str = ""
    user_agent: str | None = None
    referer: str = ""
    insecure: bool = False
    cacert: str | None = None
    cert: str | None = None
    key: str | None = None
    tls_least: str = ""
    tls_max: str = ""
    location: bool = False
    location_trusted: bool = False
    post: frozenset[int] = frozenset()  # redirections after which a POST stays one
    max_redirs: int = 50
    proxy: str | None = None
    proxy_user: str = ""
    proxytunnel: bool = False
    noproxy: str | None = None
    protocols: str = "auto"
    connect_timeout: float = 0.0
    max_time: float = 0.0
    expect100_timeout: float = 1.0
    retry: int = 0
    retry_delay: float = 0.0
    retry_max_time: float = 0.0
    retry_connrefused: bool = False
    retry_all_errors: bool = False
    range: str = ""
    continue_at: str = ""
    compressed: bool = False
    resolve: list[str] = Factory(list)
    connect_to: list[str] = Factory(list)
    unix_socket: str = ""
    time_cond: str = ""
    etag_save: str = ""
    etag_compare: str = ""
    proto_default: str = "http"
    proto: frozenset[str] = frozenset(("http", "https"))
    proto_redir: frozenset[str] = frozenset(("http", "https"))
    clobber: bool = True
    speed_limit: int = 0
    speed_time: int = 0
    limit_rate: int = 0
    max_filesize: int = 0
    write_out: str = ""
    cookies: list[str] = Factory(list)
    cookie_jar: str = ""
    net: str = ""
    address: list[str] = Factory(list)
    gateway: str | None = None
    dns: list[str] = Factory(list)
    hosts: str | None = None
    pcap: str | None = None
    fault: str | None = None
    help: bool = False
    version: bool = False
    config: str = ""

    @property
    def body(self) -> bytes | None:
        """What the -d say, joined."""
        if not self.data:
            return None
        return b"".join(self.data) if self.json else b"&".join(self.data)


# what holds for the whole line (curl calls it global); a net, there is one of
GLOBAL = frozenset((
    "fail_early", "verbose", "silent", "show_error", "no_progress_meter", "parallel", "parallel_max", "stderr", "net", "address",
    "gateway", "dns", "hosts", "pcap", "fault", "help", "version",
))  # fmt: skip
