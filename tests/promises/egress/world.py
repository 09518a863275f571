"""The outside world, in a network namespace of its own: resolvers, and servers of several names on one address.

world.py FOLDER COMMAND...: runs a command in it, without the rights that it takes to make it. What the world was
asked stands in FOLDER/asked afterwards, a line each.
"""

import ctypes, os, select, socket, ssl, struct, subprocess, sys, threading

folder, command = sys.argv[1], sys.argv[2:]
asked = open(os.path.join(folder, "asked"), "w", buffering=1)

NAMES = {
    "a.example": ["203.0.113.10", "2001:db8::10"],
    "b.example": ["203.0.113.10", "2001:db8::10"],
    "x.mirror.example": ["203.0.113.20"],
    "deep.x.mirror.example": ["203.0.113.20"],
    "old.mirror.example": ["203.0.113.20"],
    "mirror.example": ["203.0.113.20"],
    "alias.mirror.example": "cdn.other.example",
    "lone.mirror.example": "lone.other.example",
    "lone.other.example": ["203.0.113.21"],
    "cdn.other.example": ["203.0.113.21"],
    "rebind.mirror.example": ["10.9.9.9"],
    "half.mirror.example": ["203.0.113.20", "10.9.9.9", "127.0.0.1"],
    "meta.mirror.example": ["169.254.169.254"],
    "local.mirror.example": ["127.0.0.1", "::1"],
    "mapped.mirror.example": ["::ffff:10.9.9.9"],
    "big.mirror.example": ["203.0.113.20"],
    "git.example": ["203.0.113.30"],
    "quic.example": ["203.0.113.40"],
    "evil.example": ["203.0.113.66", "2001:db8::66"],
    "down.example": ["203.0.113.99"],
}
ADDRESSES = """203.0.113.10 203.0.113.20 203.0.113.21 203.0.113.30 203.0.113.40 203.0.113.66 203.0.113.99
203.0.113.53 198.51.100.53 10.20.0.5 10.9.9.9 169.254.169.254 2001:db8::10 2001:db8::66""".split()


def ip(*words):
    subprocess.run(["ip", *words], check=True)


ip("link", "set", "lo", "up")
for address in ADDRESSES:
    ip("addr", "add", address, "dev", "lo")


for address, kind in (("198.18.0.0/24", "unreachable"), ("198.18.1.0/24", "prohibit"),
                      ("2001:db8:1::/48", "unreachable"), ("2001:db8:2::/48", "prohibit")):
    ip("route", "add", kind, address)


def encoded(name):
    parts = name.split(".")
    return b"".join(bytes([len(part)]) + part.encode() for part in parts) + b"\0"


def answer(query, stream):
    at, parts = 12, []
    while query[at]:
        parts.append(query[at + 1 : at + 1 + query[at]].decode("latin1"))
        at += query[at] + 1
    end = at + 5
    name, kind = ".".join(parts).lower(), struct.unpack(">H", query[at + 1 : at + 3])[0]
    asked.write(f"{name} {kind}\n")
    head = lambda flags, count: query[:2] + struct.pack(">5H", flags, 1, count, 0, 0) + query[12:end]
    if name not in NAMES:
        return head(0x8183, 0)
    if name == "big.mirror.example" and not stream:
        return head(0x8380, 0)
    records = []
    record = lambda owner, kind, data: encoded(owner) + struct.pack(">HHIH", kind, 1, 60, len(data)) + data
    found = NAMES[name]
    if isinstance(found, str):
        records.append(record(name, 5, encoded(found)))
        name, found = found, NAMES[found] if not found.startswith("lone") else []
    for address in found:
        if kind == 1 and ":" not in address:
            records.append(record(name, 1, socket.inet_aton(address)))
        if kind == 28 and ":" in address:
            records.append(record(name, 28, socket.inet_pton(socket.AF_INET6, address)))
    return head(0x8180, len(records)) + b"".join(records)


def start(serve, *arguments):
    threading.Thread(target=serve, args=arguments, daemon=True).start()


def resolve(address):
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((address, 53))
    streams = socket.create_server((address, 53))

    def over_stream():
        while True:
            client, _ = streams.accept()
            length = struct.unpack(">H", client.recv(2, socket.MSG_WAITALL))[0]
            reply = answer(client.recv(length, socket.MSG_WAITALL), True)
            client.sendall(struct.pack(">H", len(reply)) + reply)
            client.close()

    start(over_stream)
    while True:
        query, client = datagrams.recvfrom(4096)
        datagrams.sendto(answer(query, False), client)


def listen(port, serve):
    both = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)

    def each(client):
        try:
            serve(client)
        except (OSError, ValueError):
            pass
        finally:
            client.close()

    def loop():
        while True:
            client, _ = both.accept()
            if client.getsockname()[0] == "::ffff:203.0.113.99":
                client.close()
                continue
            start(each, client)

    start(loop)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
pem = os.path.join(folder, "world.pem")
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9",
     "-keyout", pem + ".key", "-out", pem, "-subj", "/CN=world"], check=True, stderr=subprocess.DEVNULL)
context.load_cert_chain(pem, pem + ".key")
context.sni_callback = lambda connection, name, _: setattr(connection, "said", name)


def tls(client):
    with context.wrap_socket(client, server_side=True) as connection:
        asked.write(f"tls {getattr(connection, 'said', None)}\n")
        connection.sendall(f"tls {getattr(connection, 'said', None)}\n".encode())


def http(client):
    file = client.makefile("rwb")
    while line := file.readline():
        host = ""
        path = line.split()[1].decode()
        while (header := file.readline()).strip():
            if header.lower().startswith(b"host:"):
                host = header[5:].strip().decode()
        asked.write(f"http {host}\n")
        head = "HTTP/1.1 302 Found\r\nLocation: http://evil.example/" if path == "/away" else "HTTP/1.1 200 OK"
        body = f"http {host}\n"
        file.write(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        file.flush()


def banner(client):
    client.sendall(b"SSH-2.0-world\r\n")
    client.sendall(b"heard " + client.recv(100))


def echo(client):
    while part := client.recv(1 << 16):
        client.sendall(part)
    client.sendall(b"end")


def datagrams(port):
    both = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    both.bind(("::", port))
    while True:
        data, control, _, client = both.recvmsg(4096, 256)
        both.sendmsg([b"udp " + data], [(level, kind, value[:16] + b"\0\0\0\0") for level, kind, value in control], 0, client)


for address in ("203.0.113.53", "198.51.100.53"):
    start(resolve, address)
for port, serve in ((80, http), (8080, http), (443, tls), (8443, tls), (22, banner), (5432, echo), (9418, echo)):
    listen(port, serve)
for port in (443, 123):
    start(datagrams, port)

def deaf(port, time):
    """Hears nobody, or after such a time."""
    both = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    nothing = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
    both.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", 1, ctypes.addressof(nothing)))

    def serve():
        client = select.select([watch], [], [])[0] and watch.recv(200)
        threading.Event().wait(time)
        both.setsockopt(socket.SOL_SOCKET, 27, 0)
        while client:
            both.accept()

    if time:
        watch = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
        match = [(0x30, 0, 0, 9), (0x15, 0, 3, 6), (0x28, 0, 0, 22), (0x15, 0, 1, port), (6, 0, 0, 200), (6, 0, 0, 0)]
        program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in match))
        watch.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", len(match), ctypes.addressof(program)))
        start(serve)
    return both, nothing


kept = [deaf(7, 0), deaf(13, 1.5)]
resolv = os.path.join(folder, "resolv.conf")
with open(resolv, "w") as file:
    file.write("nameserver 203.0.113.53\n")
subprocess.run(["mount", "--bind", resolv, os.path.realpath("/etc/resolv.conf")], check=True)
if os.geteuid() != 0:
    command = ["setpriv", "--ambient-caps=-all", "--inh-caps=-all", *command]
sys.exit(subprocess.run(command).returncode % 256)
