//! Network, sockets, IPC, keys.

use crate::attack::Bare;

attacks! {
    services_on_the_hosts_loopback_are_not_reached: "a service on the host's loopback is connected to",
        Bare::Works, "socket.create_connection(('127.0.0.1', A.port), 5)";
    abstract_sockets_are_not_reached: "an abstract socket of the host's is connected to",
        Bare::Works, "socket.socket(socket.AF_UNIX).connect('\\0' + vars(A)['abstract'])";
    sockets_outside_the_grants_are_not_reached: "a socket outside what is granted is connected to",
        Bare::Works, "socket.socket(socket.AF_UNIX).connect(A.socket)";
    the_hypervisor_is_not_reached: "a socket to the hypervisor is made",
        Bare::Works, "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)";
    frames_are_not_sent: "a socket for frames is made",
        Bare::Root, "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)";
    raw_packets_are_not_sent: "a raw socket is made",
        Bare::Root, "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)";
    the_packet_filter_is_not_reached: "the kernel's packet filter is talked to",
        Bare::Works, "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)";
    device_events_are_not_heard: "the kernel's device events are listened to",
        Bare::Works, "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)";
    audit_is_not_reached: "the kernel's audit is talked to",
        Bare::Works, "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)";
    rare_families_are_not_reached: "a socket of a rare family is made",
        Bare::Works, "
def make(family):
    try: socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno not in (ESOCKTNOSUPPORT, EPROTONOSUPPORT): raise
any_of([40, 30, 21, 38, 44, 29, 31], make)";
    rare_protocols_are_not_reached: "a socket of a protocol is made that the kernel loads a module for",
        Bare::Works, "any_of([(2, 136), (1, 132), (2, 115), (1, 256)], lambda made: socket.socket(socket.AF_INET, *made))";
    a_network_of_ones_own_gives_no_power: "a network namespace is made, for power over it",
        Bare::Works, "call('unshare', NEWUSER | NEWNET)";
    shared_memory_is_not_found: "a System V segment of the host's is found",
        Bare::Works, "call('shmget', int(A.before), 0, 0)",
        { before: "
key = 0x5a000000 | os.getpid() & 0xffffff
import subprocess
call('shmget', key, 4096, 0o1600)
print(key)
if not os.fork():
    for fd in range(3): os.close(fd)
    time.sleep(20)
    call('shmctl', call('shmget', key, 0, 0), 0, None)
    os._exit(0)" };
    a_key_is_not_read_by_its_number: "a key of the caller's is read by its number",
        Bare::Works, "
text = ctypes.create_string_buffer(32)
call('keyctl', 11, int(A.before), text, 32)",
        { before: "key = call('add_key', b'user', b'sandbox-attack', b'the secret', 10, -4); call('keyctl', 15, key, 60); print(key)" };
    a_key_is_not_found_by_its_name: "a key of the caller's is found by its name",
        Bare::Works, "call('keyctl', 10, -4, b'user', b'sandbox-attack', 0)",
        { before: "key = call('add_key', b'user', b'sandbox-attack', b'the secret', 10, -4); call('keyctl', 15, key, 60); print(key)" };
    no_key_is_asked_for: "a key is asked for",
        Bare::Works, "reaches_kernel('request_key', None, None, None, 0)";
    generic_messages_do_not_reach_the_kernel: "the kernel's generic netlink is talked to",
        Bare::Works, "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)";
    sockets_of_others_are_not_listed: "the sockets of the host are listed by netlink",
        Bare::Works, "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)";
    interfaces_of_the_host_are_not_seen: "an interface of the host's is seen, with its hardware address",
        Bare::Perhaps, "assert any(name != 'lo' for _, name in socket.if_nameindex())";
    no_program_for_packets_is_loaded: "a program that the kernel runs for packets is put on a socket",
        Bare::Works, "
code = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0xffff))
program = struct.pack('HxxxxxxP', 1, ctypes.addressof(code))
any_of([26, 51], lambda how: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).setsockopt(socket.SOL_SOCKET, how, program))",
        { by_ci: true };
}
