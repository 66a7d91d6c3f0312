# Each target stands alone, from a fresh clone: it finds a Python, makes .venv, installs what it needs, and compiles.
#
#   make run     [ARGS=…]   the demo: a stack with a page on it, reached through the kernel (ARGS=--once ends after one fetch)
#   make test    [ARGS=…]   the suite, on the compiled build and on the pure one; ARGS go to pytest
#   make test-xen [ARGS=…]  our front end, back end and vchan on a real Xen, booted under QEMU (ARGS=word: cases with it in their name)
#   make compat  [ARGS=…]   other people's programs on our stack (ARGS='-k aiohttp'); docs/compatibility.md says which
#   make lint               ruff and mypy --strict
#   make bench   [ARGS=…]   speed beside that of peers, in one run (ARGS=name: what has it in its name; ARGS=--help: the rest)
#   make tools              the programs that tests against real peers use
#   make clean              back to a fresh clone
#
#   PYTHON=/path/to/python3.12 chooses the interpreter for .venv; NETSTACK_CYTHON and NETSTACK_CFLAGS: see setup.py

VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=
BENCH_TOOLS := iproute2 gcc libc6-dev passt slirp4netns liblwip-dev dnsperf nsd knot nginx-light nghttp2-client wrk nftables
TOOLS := iproute2 iputils-ping curl nmap tcpdump tshark postgresql
# servers and clients of others that ours meet in the tests; each test does without, and says so
PEERS := nsd knot knot-dnsutils unbound bind9 bind9-dnsutils bind9-utils ldnsutils avahi-daemon avahi-utils dbus nginx-light nghttp2-client
PEERS += udhcpc isc-dhcp-client dnsmasq-base
# what guests of netstack-tap run, and what their world serves
PEERS += nftables git openssl openssh-client openssh-server iperf3 traceroute podman runc qemu-system-x86 busybox-static
XEN := libxen-dev qemu-system-x86 seabios binutils  # what `make test-xen` needs; Xen itself is never installed
COMPILE := $(PY) setup.py -q build_ext --inplace

.PHONY: run test test-xen compat lint bench bench-tools tools clean build xen-tools
.DEFAULT_GOAL := build

build: $(VENV)/.ready
	@echo "make: compiling what has changed"
	@$(COMPILE)

run: build
	@$(VENV)/bin/netstack demo $(ARGS)

test: $(VENV)/.ready
	@$(PY) tests/both.py $(ARGS)

test-xen: xen-tools build
	@PYTHONPATH=.:backends $(PY) -m tests.xen.run $(ARGS)

compat: build
	@$(PY) -m pytest -q tests/compat $(ARGS)

lint: $(VENV)/.ready
	@$(PY) -m ruff check .
	@$(PY) -m mypy

bench: build bench-tools
	@PYTHONPATH=.:backends $(PY) -m tests.bench.run $(ARGS)

# the interpreter and the requirements; setup.py names them, so a change of it installs anew, as does a new back end
$(VENV)/.ready: setup.py pyproject.toml $(wildcard backends/*/__init__.py) | $(PY)
	@echo "make: installing requirements into $(VENV)"
	@$(PY) -m pip install -q --disable-pip-version-check 'setuptools>=68' wheel 'cython>=3.1,<4'
	@NETSTACK_CYTHON=0 $(PY) -m pip install -q --disable-pip-version-check --no-build-isolation -e '.[test,trio,lint]'
	@$(PY) tests/compat/install.py
	@touch $@

$(PY):
	@for python in "$(PYTHON)" python3 python3.14 python3.13 python3.12 python3.11; do \
	  [ -n "$$python" ] && "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  echo "make: making $(VENV) with $$("$$python" -V)"; \
	  "$$python" -m venv $(VENV) && exit 0; \
	  rm -rf $(VENV); \
	  echo "make: $$python can't make a virtual environment: install its venv module (on Debian: apt-get install python3-venv)" >&2; exit 1; \
	done; \
	echo "make: no Python of 3.11 or newer was found: install one, or say make PYTHON=/path/to/python3" >&2; exit 1

# Xen's headers come before what is compiled; what can't be had is named by whoever misses it
xen-tools:
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  { [ -e /usr/include/xengnttab.h ] && command -v qemu-system-x86_64 && [ -e /usr/share/seabios/bios-256k.bin ] && command -v strip; } >/dev/null \
	    || { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $(XEN); } >/dev/null 2>&1 \
	    || echo "make: apt-get could not install all of $(XEN)"; \
	fi

tools: xen-tools
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  for tool in ip ping curl nmap tcpdump tshark; do command -v $$tool >/dev/null || missing=1; done; \
	  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing=1; \
	  [ -z "$${missing:-}" ] || { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $(TOOLS); } || exit 1; \
	  for tool in nsd knotd kdig unbound named dig delv dnssec-signzone ldns-signzone avahi-daemon nginx nghttp udhcpc dhclient dnsmasq nft sshd iperf3 traceroute podman; do command -v $$tool >/dev/null || lacking=1; done; \
	  [ -z "$${lacking:-}" ] || { apt-get -q update && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $(PEERS); } >/dev/null 2>&1 \
	    || echo "make tools: apt-get could not install all of $(PEERS); going on without"; \
	else \
	  echo "make tools: not root, or no apt-get here: install these with your system's package manager: $(TOOLS)"; \
	fi

# peers to measure beside; what can't be had is left out, with a line that says so
bench-tools: $(VENV)/.ready
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  for tool in ip gcc pasta slirp4netns dnsperf nsd knotd nginx h2load wrk nft; do command -v $$tool >/dev/null || missing=1; done; \
	  [ -e /usr/include/lwip/lwip/tcp.h ] || missing=1; \
	  [ -z "$${missing:-}" ] || { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
	    $(BENCH_TOOLS); } >/dev/null 2>&1 || echo "make: apt-get could not install all of $(BENCH_TOOLS); going on without"; \
	fi
	@$(PY) -c 'import uvloop' 2>/dev/null || $(PY) -m pip install -q --disable-pip-version-check 'uvloop>=0.19,<1' \
	  || echo "make: uvloop could not be installed; going on without"

clean:
	@rm -rf $(VENV) .venv-pmd build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis artifacts
	@find netstack backends tests \( -name '*.so' -o -name '*.pyc' \) -delete
	@find netstack backends -name '*.c' ! -path '*/libxen/*' -delete
	@find netstack backends tests -name __pycache__ -type d -empty -delete
