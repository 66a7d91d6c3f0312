"""Programs of the standard library, unchanged, on a net: client and server on one stack, TLS included."""

import concurrent.futures
import contextlib
import ftplib
import http.client
import http.server
import imaplib
import io
import multiprocessing.connection
import os
import poplib
import smtplib
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import urllib.request
import xmlrpc.client
import xmlrpc.server

import pytest

import netstack
from netstack.errors import UsageError
from netstack.runtime.hostside import KernelSocket
from netstack.runtime.stacksocket import StackSocket
from tests.unit.runtime.blocking_world import Thread, lonely_net

KERNELS = socket.socket


@pytest.fixture
def net():
    with lonely_net() as net, netstack.patch(net):
        yield net
    assert socket.socket is KERNELS


@contextlib.contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"you are " + self.client_address[0].encode() + b" " + bytes(100_000)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


# -- what is substituted -----------------------------------------------------------------------------------------------


def test_the_family_chooses(net):
    with socket.socket() as ours, socket.socket(socket.AF_UNIX) as theirs:
        assert type(ours) is StackSocket and type(theirs) is KERNELS
        assert isinstance(ours, socket.socket) and isinstance(theirs, socket.socket)
        assert isinstance(ours, KernelSocket)
    a, b = socket.socketpair()
    with a, b, socket.socket(fileno=os.dup(a.fileno())) as c:
        assert isinstance(a, socket.socket) and type(c) is KERNELS
    assert issubclass(ssl.SSLSocket, socket.socket) and issubclass(StackSocket, socket.socket)
    assert not isinstance(1, socket.socket) and not issubclass(int, socket.socket)


def test_subclasses_that_are_made_meanwhile_are_the_nets(net):
    class Mine(socket.socket):
        def shout(self, data):
            self.sendall(data.upper())

    with socket.create_server(("127.0.0.1", 0)) as listener, Mine(socket.AF_INET, socket.SOCK_STREAM) as mine:
        mine.connect(listener.getsockname())
        mine.shout(b"hello")
        far, _ = listener.accept()
        with far:
            assert far.recv(100) == b"HELLO"
    assert isinstance(mine, Mine) and isinstance(mine, socket.socket)
    with pytest.raises(UsageError, match="Mine"):
        Mine(socket.AF_UNIX)


def test_names_are_the_nets(net):
    assert socket.gethostbyname("localhost") == "127.0.0.1"
    assert socket.gethostbyname_ex("10.0.0.1")[2] == ["10.0.0.1"]
    assert socket.getaddrinfo("10.0.0.1", 80, type=socket.SOCK_STREAM)[0][4] == ("10.0.0.1", 80)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("no-such-name.example", 80)


def test_a_patch_is_undone_in_order():
    with lonely_net() as one, lonely_net() as two:
        first = netstack.patch(one)
        second = netstack.patch(two.net)
        with pytest.raises(UsageError, match="another"):
            first.undo()
        with socket.socket() as sock:
            assert sock.core.table is two.net.sockets
        second.undo()
        with socket.socket() as sock:
            assert sock.core.table is one.net.sockets
        first.undo()
        first.undo()
        assert socket.socket is KERNELS and ssl.SSLContext.sslsocket_class is ssl.SSLSocket
    with pytest.raises(UsageError, match="needs a net"):
        netstack.patch("tap:tap0")


def test_no_kernel_socket_of_the_internet_is_made():
    program = """
import sys
made = []
sys.addaudithook(lambda event, args: made.append(args) if event == "socket.__new__" and args[1] in (2, 10) else None)
import netstack
from netstack.testing.wire import Wire
with netstack.open_blocking(Wire().port("a"), addresses=["10.0.0.1/24"]) as net, netstack.patch(net):
    import http.client, http.server, threading
    server = http.server.ThreadingHTTPServer(("10.0.0.1", 80), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever).start()
    client = http.client.HTTPConnection("10.0.0.1")
    client.request("HEAD", "/")
    assert client.getresponse().status == 200
    client.close()
    server.shutdown()
    server.server_close()
assert not made, made
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30, capture_output=True)


# -- http --------------------------------------------------------------------------------------------------------------


def test_http_server_and_clients(net):
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)) as server:
        url = f"http://localhost:{server.server_address[1]}/"
        with urllib.request.urlopen(url, timeout=10) as response:
            assert response.read().startswith(b"you are 127.0.0.1")
        client = http.client.HTTPConnection(*server.server_address, timeout=10)
        for size in (0, 1, 1_000_000):
            client.request("POST", "/", os.urandom(size))
            assert len(client.getresponse().read()) == size
        client.close()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            bodies = pool.map(lambda _: urllib.request.urlopen(url, timeout=10).read(), range(40))
            assert {body[:17] for body in bodies} == {b"you are 127.0.0.1"}
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(*server.server_address).request("GET", "/")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Of localhost, and the contexts of both sides."""
    trustme = pytest.importorskip("trustme")
    ca = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    ca.configure_trust(client)
    return server, client


def test_https_by_the_old_way_of_a_wrapped_listener(net, certificate):
    server_side, client_side = certificate
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.socket = server_side.wrap_socket(server.socket, server_side=True)
    with serving(server):
        url = f"https://localhost:{server.server_address[1]}/"
        with urllib.request.urlopen(url, timeout=10, context=client_side) as response:
            assert response.read().startswith(b"you are 127.0.0.1")


def test_tls_is_wrapped_before_and_after_the_connection(net, certificate):
    server_side, client_side = certificate

    def serve(listener):
        for _ in range(2):
            sock, _ = listener.accept()
            with server_side.wrap_socket(sock, server_side=True) as tls:
                tls.sendall(tls.recv(100).upper())
                tls.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = Thread(serve, listener)
        with (
            socket.create_connection(listener.getsockname()) as sock,
            client_side.wrap_socket(sock, server_hostname="localhost") as tls,
        ):
            assert isinstance(tls, ssl.SSLSocket)
            tls.sendall(b"after")
            assert tls.recv(100) == b"AFTER"
        with client_side.wrap_socket(socket.socket(), server_hostname="localhost") as tls:
            tls.settimeout(10)
            tls.connect(listener.getsockname())
            tls.sendall(b"before")
            assert tls.recv(100) == b"BEFORE"
            assert tls.version() == "TLSv1.3"
        serving.result()


def test_tls_needs_no_patch(certificate):
    server_side, client_side = certificate
    with lonely_net() as net, net.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            sock, _ = listener.accept()
            with server_side.wrap_socket(sock, server_side=True) as tls:
                tls.sendall(tls.recv(100).upper())
                tls.recv(1)

        serving = Thread(serve)
        with client_side.wrap_socket(net.create_connection(listener.getsockname()), server_hostname="localhost") as tls:
            tls.sendall(b"hello")
            assert tls.recv(100) == b"HELLO"
        serving.result()


# -- other clients and servers -----------------------------------------------------------------------------------------


def conversation(*turns):
    """A server that says the first of each turn, and expects the second."""

    def serve(listener):
        sock, _ = listener.accept()
        with sock, sock.makefile("rwb") as file:
            for say, expect in turns:
                file.write(say)
                file.flush()
                if expect:
                    line = file.readline()
                    assert line.lower().startswith(expect.lower()), line  # verbs have had either case, by version
        return True

    listener = socket.create_server(("127.0.0.1", 0))
    return listener, Thread(serve, listener)


def test_smtplib(net):
    listener, serving = conversation(
        (b"220 here\r\n", b"ehlo"), (b"250 here\r\n", b"mail FROM:<a@x>"), (b"250 ok\r\n", b"rcpt TO:<b@x>"),
        (b"250 ok\r\n", b"data"), (b"354 go\r\n", b"hello"), (b"", b"."), (b"250 ok\r\n", b"QUIT"), (b"221 bye\r\n", b""),
    )  # fmt: skip
    with listener, smtplib.SMTP(*listener.getsockname(), timeout=10) as client:
        client.sendmail("a@x", ["b@x"], "hello")
    assert serving.result()


def test_poplib_and_imaplib(net):
    listener, serving = conversation((b"+OK here\r\n", b"NOOP"), (b"+OK\r\n", b"QUIT"), (b"+OK bye\r\n", b""))
    with listener:
        client = poplib.POP3(*listener.getsockname(), timeout=10)
        assert client.noop().startswith(b"+OK")
        client.quit()
        assert serving.result()

    def serve(listener):
        sock, _ = listener.accept()
        with sock, sock.makefile("rwb") as file:
            file.write(b"* OK IMAP4rev1 here\r\n")
            file.flush()
            for answer in (b"* CAPABILITY IMAP4rev1\r\n", b"* BYE\r\n"):
                tag = file.readline().split()[0]
                file.write(answer + tag + b" OK done\r\n")
                file.flush()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = Thread(serve, listener)
        imaplib.IMAP4(*listener.getsockname(), timeout=10).logout()
        serving.result()


def test_ftplib_with_its_second_connection(net):
    def serve(listener):
        sock, _ = listener.accept()
        with sock, sock.makefile("rwb") as file, socket.create_server(("127.0.0.1", 0)) as data:
            port = data.getsockname()[1]
            passive = f"227 ok (127,0,0,1,{port >> 8},{port & 255})\r\n".encode()
            for say in (b"220 here\r\n", b"230 in\r\n", b"200 binary\r\n", passive):
                file.write(say)
                file.flush()
                file.readline()
            sock2, _ = data.accept()
            file.write(b"150 comes\r\n")
            file.flush()
            with sock2:
                sock2.sendall(b"contents")
            file.write(b"226 done\r\n")
            file.flush()
            file.readline()
            file.write(b"221 bye\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = Thread(serve, listener)
        client = ftplib.FTP(timeout=10)
        client.connect(*listener.getsockname())
        client.login()
        got = io.BytesIO()
        client.retrbinary("RETR x", got.write)
        client.quit()
        serving.result()
    assert got.getvalue() == b"contents"


def test_xmlrpc(net):
    with serving(xmlrpc.server.SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False)) as server:
        server.register_function(pow)
        with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{server.server_address[1]}/") as proxy:
            assert proxy.pow(2, 10) == 1024


def test_socketserver_of_both_kinds(net):
    class Upper(socketserver.BaseRequestHandler):
        def handle(self):
            if isinstance(self.request, tuple):
                data, sock = self.request
                sock.sendto(data.upper(), self.client_address)
            else:
                self.request.sendall(self.request.recv(100).upper())

    datagrams = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Upper)
    with serving(datagrams), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(b"datagram", datagrams.server_address)
        assert sock.recv(100) == b"DATAGRAM"
    streams = socketserver.TCPServer(("127.0.0.1", 0), Upper)
    with serving(streams), socket.create_connection(streams.server_address, timeout=10) as sock:
        sock.sendall(b"stream")
        assert sock.recv(100) == b"STREAM"


def test_what_is_made_of_descriptors_stays_the_kernels(net):
    a, b = multiprocessing.connection.Pipe()
    a.send("hello")
    assert b.recv() == "hello"
    a.close()
    b.close()
    done = subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, timeout=20)
    assert done.stdout == b"1\n"
