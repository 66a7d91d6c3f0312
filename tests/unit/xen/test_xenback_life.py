"""States of a vif as a netback goes through them, whoever begins, ends, dies or comes again; and its control ring."""

import struct

import pytest
from bareback import BACK, FRONT, Pair, Queue
from netstack.adapters import FramePort, PySink
from netstack.errors import UsageError
from netstack_xen import slots
from netstack_xen.back.netif import VifUnavailable, XenBack
from netstack_xen.ring import FrontRing
from netstack_xen.simulated import Machine, toolstack
from netstack_xen.wire import Control, ControlRequest, ControlResponse, Status, toeplitz
from test_xenback_intake import ETH, ipv4, page_border, tcp

# Microsoft's verification suite of receive-side scaling: key, and a hash of (source, destination, ports)
RSS_KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")
RSS_FLOW = bytes([66, 9, 149, 187, 161, 142, 100, 80]) + struct.pack("!HH", 2794, 1766)


def test_a_backend_says_what_linux_says_and_waits():
    with Pair() as pair:
        said = {key: pair.says(key) for key in pair.program.store.list(pair.vif.backend)}
        assert said["state"] == "2"
        features = {key: value for key, value in said.items() if key.startswith(("feature-", "multi-"))}
        assert features == {
            "feature-rx-copy": "1",
            "feature-rx-flip": "0",
            "feature-sg": "1",
            "feature-gso-tcpv4": "1",
            "feature-gso-tcpv6": "1",
            "feature-ipv6-csum-offload": "1",
            "feature-multicast-control": "1",
            "feature-dynamic-multicast-control": "1",
            "feature-split-event-channels": "1",
            "feature-ctrl-ring": "1",
            "multi-queue-max-queues": "4",
        }


def test_what_is_left_out_is_said():
    with Pair(queues=1, split=False, control=False, gso=False) as pair:
        keys = ("feature-gso-tcpv4", "feature-gso-tcpv6", "feature-split-event-channels", "feature-ctrl-ring")
        assert [pair.says(key) for key in keys] == ["0"] * 4


def test_connecting_closing_and_connecting_again():
    with Pair() as pair:
        for n in range(3):
            q = pair.connect()
            assert pair.says("state") == "4" and pair.says("hotplug-status") == "connected"
            q.put(ETH + bytes([n]))
            q.push()
            pair.write(state=5)
            pair.poll()
            assert pair.says("state") == "5"
            assert pair.sink.frames[-1][0] == ETH + bytes([n])  # what was sent before is not lost
            q.close()
            pair.write(state=6)
            pair.poll()
            assert pair.says("state") == "6"
            pair.machine.books.assert_even(FRONT)
            pair.write(state=1)
            pair.queues = []
        assert pair.mib.Connects == 3 and len(pair.sink.frames) == 3


def test_hotplug_of_somebody_else_is_waited_for():
    with Pair(hotplug=False) as pair:
        pair.connect()
        assert pair.says("state") == "2"
        toolstack.hotplug(pair.tools.store, pair.vif)
        pair.poll()
        assert pair.says("state") == "4"


def test_a_frontend_that_closes_before_the_hotplug_is_seen():
    with Pair(hotplug=False) as pair:
        pair.connect()
        pair.write(state=5)
        pair.poll()
        assert pair.says("state") == "5"
        toolstack.hotplug(pair.tools.store, pair.vif)
        pair.poll()
        assert pair.says("state") == "5"


def test_a_frontend_that_begins_anew_without_closing_is_followed():
    with Pair() as pair:
        q = pair.connect()
        pair.write(state=1)
        pair.poll()
        assert pair.says("state") == "2"
        q.close()
        pair.connect()
        assert pair.says("state") == "4"


def test_a_killed_frontend_is_waited_for_and_its_successor_gets_through():
    with Pair() as pair:
        pair.connect()
        pair.machine.kill(pair.program)
        pair.queues = []
        pair.poll()
        assert pair.says_to(pair.tools, "state") == "4"
        pair.program = pair.machine.domain(FRONT)
        for ours, theirs in ((5, "5"), (6, "6"), (1, "2")):
            pair.write(state=ours)
            pair.poll()
            assert pair.says("state") == theirs
        q = pair.connect()
        q.put(ETH)
        q.push()
        pair.poll()
        assert len(pair.sink.frames) == 1


def test_a_domain_that_is_gone_leaves_nothing_behind():
    with Pair() as pair:
        pair.connect()
        pair.machine.destroy(FRONT)
        pair.queues = []
        toolstack.remove_vif(pair.tools.store, pair.vif)
        pair.poll()
        pair.machine.books.assert_even(FRONT)
        assert not pair.back.core.lanes
        with pytest.raises(OSError, match="removed"):
            pair.back.poll(pair.now)


def test_a_frontend_without_folder_is_gone_even_while_ours_is_there():
    with Pair() as pair:
        pair.connect()
        pair.machine.destroy(FRONT)
        pair.queues = []
        pair.tools.store.remove(pair.vif.frontend)
        pair.poll()
        assert not pair.back.core.lanes and pair.says_to(pair.tools, "state") == "6"


def test_the_toolstack_unplugs():
    with Pair() as pair:
        q = pair.connect()
        toolstack.unplug(pair.tools.store, pair.vif)
        pair.poll()
        assert not pair.back.core.lanes and pair.says("state") == "5"
        q.close()
        pair.queues = []
        pair.write(state=6)
        pair.poll()
        assert pair.says("state") == "6"


def test_a_vif_that_is_waited_for_comes_again():
    with Machine() as machine:
        tools, front, program = machine.domain(0), machine.domain(FRONT), machine.domain(BACK)
        with XenBack(program, FRONT, now=0, wait=True, own=True) as back:
            assert not back.poll(0)
            for _ in range(2):
                vif = toolstack.add_vif(tools.store, FRONT, mtu=9000)
                back.poll(0)
                assert front.store.read(f"{vif.backend}/state") == "2"
                toolstack.remove_vif(tools.store, vif)
                back.poll(0)
        machine.books.assert_even(BACK)


def test_a_vif_that_is_not_there_is_said_to_be_missing():
    with Machine() as machine:
        program = machine.domain(BACK)
        with pytest.raises(VifUnavailable, match="network-attach 7"):
            XenBack(program, FRONT, now=0)
        with pytest.raises(UsageError):
            XenBack(program, FRONT, now=0, queues=0)
        with pytest.raises(UsageError):
            XenBack(program, FRONT, now=0, mtu=20)
        program.close()
        machine.books.assert_even()


def test_a_backend_that_closes_tells_the_frontend_and_one_after_it_takes_over():
    with Pair() as pair:
        q = pair.connect()
        pair.back.close()
        assert pair.says("state") == "6" and pair.says("hotplug-status") is None
        q.close()
        pair.back = XenBack(pair.machine.domain(BACK), FRONT, now=0, own=True)
        pair.back.attach(PySink(pair.sink))
        assert pair.says("state") == "6"  # the frontend counts on a connection still
        pair.write(state=6)
        pair.poll()
        pair.write(state=1)
        pair.connect()
        assert pair.says("state") == "4"


def test_a_backend_that_was_killed_leaves_a_state_that_its_successor_takes_back():
    with Pair() as pair:
        q = pair.connect()
        pair.machine.kill(pair.back.hypervisor)
        pair.back = XenBack(pair.machine.domain(BACK), FRONT, now=0, own=True)
        pair.back.attach(PySink(pair.sink))
        assert pair.says("state") == "5"
        q.close()
        for ours, theirs in ((6, "6"), (1, "2")):
            pair.write(state=ours)
            pair.poll()
            assert pair.says("state") == theirs
        pair.connect()
        assert pair.says("state") == "4"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"multi-queue-num-queues": 5}, "5 queues"),
        ({"multi-queue-num-queues": 0}, "0 queues"),
        ({"request-rx-copy": None}, "request-rx-copy"),
        ({"tx-ring-ref": None}, "tx-ring-ref"),
        ({"rx-ring-ref": "no number"}, "rx-ring-ref"),
        ({"event-channel": None}, "event-channel"),
        ({"rx-ring-ref": 99999}, ""),
        ({"event-channel": 99999}, ""),
        ({"ctrl-ring-ref": 5}, "event-channel-ctrl"),
        ({"event-channel-ctrl": 99999, "ctrl-ring-ref": 5}, ""),
    ],
)
def test_what_can_not_be_connected_is_refused_with_a_reason_and_nothing_is_kept(keys, words):
    with Pair() as pair:
        pair.connect(keys=keys)
        assert pair.says("state") == "5" and words in pair.back.trouble
        assert pair.tools.store.read(f"/local/domain/0/error/backend/vif/{FRONT}/0/error") == pair.back.trouble
        assert not list(pair.machine.books.of(BACK, "mapping")) and not list(pair.machine.books.of(BACK, "port"))
        for entry in list(pair.program.store.list(pair.vif.frontend)):
            if entry in keys or entry.startswith("event-channel"):
                pair.program.store.remove(f"{pair.vif.frontend}/{entry}")
        pair.queues.pop().close()
        for state in (6, 1):
            pair.write(state=state)
            pair.poll()
        pair.connect()
        assert pair.says("state") == "4" and not pair.back.trouble
        pair.machine.books.notes.clear()  # to try what the frontend has named is no fault of the backend's


def test_the_other_states_and_noise_are_answered_or_passed_over():
    with Pair() as pair:
        pair.connect()
        pair.write(state=7)
        pair.poll()
        assert pair.says("state") == "8"
        pair.write(state=4)
        pair.poll()
        assert pair.says("state") == "4" and pair.back.core.lanes
        pair.write(state=3)
        pair.poll()
        assert pair.says("state") == "4"
        pair.write(state="x")
        pair.poll()
        assert pair.says("state") == "6" and not pair.back.core.lanes


def test_a_sink_that_closes_the_vif_in_the_middle_of_a_batch():
    with Pair() as pair:
        q = pair.connect()

        def close(frame, now):
            pair.back.close()

        pair.sink.on_frame = close
        for _ in range(3):
            q.put(ETH)
        q.push()
        pair.back.poll(0)
        with pytest.raises(OSError, match="closed"):
            pair.back.poll(0)
        FramePort(pair.back.core).send(ETH, 0)
        assert pair.mib.OutDown == 1


# -- queues, ports and the control ring ---------------------------------------------------------------------------------------------


def test_each_queue_has_rings_and_ports_of_its_own_and_a_flow_stays_in_one():
    with Pair() as pair:
        queues = pair.connect(queues=3)
        for n, q in enumerate(queues):
            q.put(ETH + bytes([n]))
            q.push()
        pair.poll()
        assert sorted(f[0][14] for f in pair.sink.frames) == [0, 1, 2]
        port = FramePort(pair.back.core)
        for q in queues:
            q.post(60)
        used = set()
        for flow in range(40):
            frame = bytearray(tcp(b""))
            frame[34:36] = struct.pack("!H", 1000 + flow)
            for _ in range(3):
                port.send(bytes(frame), 0)
            got = [len(q.received()) for q in queues]
            assert sorted(got) == [0, 0, 3]
            used.add(got.index(3))
            for q in queues:
                q.post(got[queues.index(q)])
        assert used == {0, 1, 2}


def test_ports_may_be_split():
    with Pair() as pair:
        pair.poll()
        q = Queue(pair.program)
        pair.queues = [q]
        other = pair.program.allocate(BACK)
        keys = q.keys()
        del keys["event-channel"]
        words = keys | {"event-channel-tx": q.port, "event-channel-rx": other, "request-rx-copy": 1, "feature-rx-notify": 1}
        for key, value in words.items():
            pair.program.store.write(f"{pair.vif.frontend}/{key}", str(value))
        pair.write(state=4)
        pair.poll()
        pair.program.pending()
        q.post(1)
        FramePort(pair.back.core).send(ETH, 0)
        assert pair.program.pending() == [other]
        q.put(ETH)
        q.push()
        pair.poll()
        assert pair.program.pending() == [q.port]
        pair.program.release(other)


class Desk:
    """A control ring, connected with two queues."""

    def __init__(self, pair, queues=2):
        self.pair, self.program = pair, pair.program
        self.pages = pair.program.share(BACK, 2)
        self.view = self.pages.memory
        self.ring = FrontRing(self.view[:4096], slots.CTRL)
        self.port = pair.program.allocate(BACK)
        pair.queues = pair.connect(queues=queues, keys={"ctrl-ring-ref": self.pages.refs[0], "event-channel-ctrl": self.port})
        self.number = 0

    def write(self, data):
        self.view[4096 : 4096 + len(data)] = data
        return self.pages.refs[1]

    def ask(self, type, *data):
        self.number += 1
        at = self.ring.at(self.ring.req_prod)
        self.ring.page[at : at + 16] = ControlRequest(self.number, type, (*data, 0, 0, 0)[:3]).pack()
        self.ring.req_prod += 1
        if self.ring.push():
            self.program.notify(self.port)
        self.pair.poll()
        assert self.ring.waiting() == 1
        response = ControlResponse.unpack(bytes(self.ring.page[at : at + 16]))
        self.ring.rsp_cons += 1
        self.ring.final_check(1)
        assert (response.id, response.type) == (self.number, type)
        return (response.status, response.data)

    def close(self):
        self.ring.page.release()
        self.view.release()
        self.program.unshare(self.pages)
        self.program.release(self.port)


OK, UNKNOWN, INVALID, OVERFLOW = (status.value for status in Status)


def test_the_control_ring_answers_as_linux_does():
    with Pair() as pair:
        desk = Desk(pair)
        assert desk.ask(Control.GET_HASH_FLAGS) == (UNKNOWN, 0)
        assert desk.ask(Control.SET_HASH_FLAGS, 3)[0] == INVALID
        assert desk.ask(Control.SET_HASH_ALGORITHM, 2)[0] == INVALID
        assert desk.ask(Control.SET_HASH_ALGORITHM, 1)[0] == OK
        assert desk.ask(Control.GET_HASH_FLAGS) == (OK, 15)
        assert desk.ask(Control.SET_HASH_FLAGS, 16)[0] == INVALID
        assert desk.ask(Control.SET_HASH_FLAGS, 15)[0] == OK
        assert desk.ask(Control.GET_HASH_MAPPING_SIZE) == (OK, 128)
        assert desk.ask(Control.SET_HASH_MAPPING_SIZE, 129)[0] == INVALID
        assert desk.ask(Control.SET_HASH_MAPPING_SIZE, 4)[0] == OK
        assert desk.ask(Control.GET_GREF_MAPPING_SIZE)[0] == UNKNOWN
        assert desk.ask(77)[0] == UNKNOWN
        assert desk.ask(Control.SET_HASH_KEY, desk.write(RSS_KEY), 41)[0] == OVERFLOW
        assert desk.ask(Control.SET_HASH_KEY, 99999, 40)[0] == INVALID
        assert desk.ask(Control.SET_HASH_KEY, desk.write(RSS_KEY), 40)[0] == OK
        assert bytes(pair.back.core.steering.key) == RSS_KEY
        table = struct.pack("=4I", 1, 0, 1, 1)
        assert desk.ask(Control.SET_HASH_MAPPING, desk.write(struct.pack("=4I", 1, 0, 2, 1)), 4, 0)[0] == INVALID  # two queues
        assert desk.ask(Control.SET_HASH_MAPPING, desk.write(table), 4, 1)[0] == INVALID
        assert desk.ask(Control.SET_HASH_MAPPING, 99999, 4, 0)[0] == INVALID
        assert pair.back.core.steering.mapping == [0] * 4
        assert desk.ask(Control.SET_HASH_MAPPING, desk.write(table), 4, 0)[0] == OK
        assert pair.back.core.steering.mapping == [1, 0, 1, 1]
        assert desk.ask(Control.SET_HASH_KEY, 0, 0)[0] == OK
        assert bytes(pair.back.core.steering.key) == bytes(40)
        desk.close()


def test_frames_are_steered_by_toeplitz_and_say_their_hash():
    assert toeplitz(RSS_KEY, RSS_FLOW) == 0x51CCC178  # of the specification, so that the oracle is right itself
    with Pair() as pair:
        desk = Desk(pair)
        for ask in (
            (Control.SET_HASH_ALGORITHM, 1),
            (Control.SET_HASH_FLAGS, 3),
            (Control.SET_HASH_KEY, desk.write(RSS_KEY), 40),
        ):
            assert desk.ask(*ask)[0] == OK
        port = FramePort(pair.back.core)
        first, second = pair.queues
        for q in (first, second):
            q.post(8)
        frame = bytearray(tcp(b"x"))
        frame[26:38] = RSS_FLOW
        plain = bytearray(ipv4(1, bytes(8)))
        plain[26:34] = RSS_FLOW[:8]
        port.send(bytes(frame), 0)
        port.send(bytes(plain), 0)
        assert toeplitz(RSS_KEY, RSS_FLOW[:8]) == 0x323E8FC2  # of the specification as well; both are even
        assert [(data, extras) for data, _, extras in first.received()] == [
            (bytes(frame), [(slots.EXTRA_HASH, 1 | 1 << 8 | 0x51CCC178 << 16)]),
            (bytes(plain), [(slots.EXTRA_HASH, 0 | 1 << 8 | 0x323E8FC2 << 16)]),
        ]
        assert desk.ask(Control.SET_HASH_MAPPING_SIZE, 1)[0] == OK
        assert desk.ask(Control.SET_HASH_MAPPING, desk.write(struct.pack("=I", 1)), 1, 0)[0] == OK
        port.send(bytes(frame), 0)
        assert [f[0] for f in second.received()] == [bytes(frame)]
        port.send(ETH, 0)  # what has no hash is nowhere in the table, and goes where hash 0 does
        assert [f[2] for f in second.received()] == [[]]
        desk.close()


def test_six_is_hashed_too():
    with Pair() as pair:
        desk = Desk(pair)
        desk.ask(Control.SET_HASH_ALGORITHM, 1)
        desk.ask(Control.SET_HASH_FLAGS, 15)
        desk.ask(Control.SET_HASH_KEY, desk.write(RSS_KEY), 40)
        addresses = bytes.fromhex("3ffe250102001fff0000000000000007" "3ffe2501020000030000000000000001")
        frame = ETH[:12] + b"\x86\xdd" + struct.pack("!IHBB", 0x60000000, 20, 6, 64) + addresses + struct.pack("!HH", 2794, 1766) + bytes(16)
        for q in pair.queues:
            q.post(4)
        FramePort(pair.back.core).send(frame, 0)
        ((_, _, extras),) = pair.queues[0].received() + pair.queues[1].received()
        assert extras == [(slots.EXTRA_HASH, 3 | 1 << 8 | 0x40207D3D << 16)]
        desk.close()


def test_more_requests_than_the_control_ring_holds_disable_the_vif():
    with Pair() as pair:
        desk = Desk(pair)
        desk.ring.req_prod = 500
        desk.ring.push()
        pair.poll()
        assert pair.back.disabled and pair.mib.FatalRing == 1
        desk.close()


def test_a_disabled_vif_is_closed_and_given_back_as_any_other():
    with Pair() as pair:
        q = pair.connect()
        page_border(q)
        q.push()
        pair.poll()
        assert pair.back.disabled
        pair.machine.kill(pair.program)
        pair.queues = []
        pair.back.close()
        pair.machine.books.assert_even(BACK)
        pair.machine.books.assert_even(FRONT)
