"""What -w can tell of a transfer."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...http.client.url import parse

if TYPE_CHECKING:
    from .transfer import Transfer


def facts(transfer: Transfer, status: int, message: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The variables, and the fields of the last response."""
    teller, response = transfer.teller, transfer.response
    times = teller.times
    head = teller.head
    fields = {} if head is None else {name.decode(): value.decode("latin-1") for name, value in head.fields}
    total = times.since(times.end or time.monotonic())
    url = str(response.url) if response is not None else transfer.text
    code = 304 if transfer.code == 304 else head.status if head is not None else 0  # which -z may have made of a 200
    location = fields.get("location", "")
    with contextlib.suppress(UsageError):
        location = str(parse(url).join(location)) if location and 300 <= code < 400 else ""
    facts: dict[str, Any] = {
        "http_code": code,
        "response_code": code,
        "http_version": response.version if response is not None else "0",
        "size_download": transfer.received,
        "size_upload": teller.uploaded_size,
        "size_header": teller.header_size,
        "size_request": teller.request_size,
        "speed_download": int(transfer.received / total) if total else 0,
        "speed_upload": int(teller.uploaded_size / total) if total else 0,
        "time_namelookup": 0.0,
        "time_connect": times.since(times.connect),
        "time_appconnect": times.since(times.appconnect),
        "time_pretransfer": times.since(times.pretransfer),
        "time_starttransfer": times.since(times.starttransfer),
        "time_redirect": times.since(times.redirect),
        "time_total": total,
        "http_connect": teller.proxy_status,
        "proxy_ssl_verify_result": 0,
        "urlnum": transfer.number,
        "num_connects": teller.connects,
        "num_headers": len(head.fields) if head is not None else 0,
        "num_redirects": len(response.history) if response is not None else 0,
        "redirect_url": location,
        "url": transfer.text,
        "url_effective": url,
        "scheme": url.partition(":")[0].upper(),
        "method": response.method if response is not None else "",
        "content_type": fields.get("content-type", ""),
        "remote_ip": teller.remote[0],
        "remote_port": teller.remote[1],
        "local_ip": teller.local[0],
        "local_port": teller.local[1],
        "filename_effective": transfer.name,
        "ssl_verify_result": 0 if status != 60 else 1,
        "exitcode": status,
        "errormsg": message,
        "referer": transfer.options.referer,
    }
    return facts, fields
