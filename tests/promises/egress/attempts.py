"""What a command tries, one attempt a line: `attempts.py NAME...` prints what each has come to."""

import errno, os, select, socket, ssl, struct, subprocess, sys, urllib.request

# Of what comes at once or never: a machine may be slow.
TIME = 60


def connect(host, port, family=0, kind=socket.SOCK_STREAM):
    found = socket.getaddrinfo(host, port, family, kind)
    one = socket.socket(found[0][0], kind)
    one.settimeout(TIME)
    one.connect(found[0][4])
    return one


def tls(host, said, port=443, family=0):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connect(host, port, family) as one, context.wrap_socket(one, server_hostname=said) as secured:
        return secured.recv(100).decode().strip()


def raw(host, port, data, family=0, parts=1, until=b""):
    """The last line of what was answered, be it in one piece or in several."""
    with connect(host, port, family) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        size = max(1, len(data) // parts)
        for at in range(0, len(data), size):
            one.sendall(data[at : at + size])
        got = one.recv(1000)
        while got and until not in got and (more := one.recv(1000)):
            got += more
        if not got:
            raise ConnectionResetError(errno.ECONNRESET, "closed")
        return got.decode("latin1").strip().splitlines()[-1]


def late(host, first, second):
    """A second request, once the first is answered."""
    with connect(host, 80) as one:
        one.sendall(first)
        one.recv(1000)
        one.sendall(second)
        if not (got := one.recv(1000)):
            raise ConnectionResetError(errno.ECONNRESET, "closed")
        return got.decode().strip().splitlines()[-1]


def begin(host, port, time=TIME):
    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    with socket.socket(found[0][0], socket.SOCK_STREAM) as one:
        one.settimeout(time)
        one.connect(found[0][4])
        return "begun"


def many(host, port, count):
    """So many connections at once, each of which gets its own answer."""
    address = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][4]
    all = [socket.socket() for _ in range(count)]
    for one in all:
        one.setblocking(False)
        one.connect_ex(address)
    for one in all:
        one.settimeout(TIME)
        one.getpeername() if select.select([], [one], [], TIME)[1] else None
        one.sendall(request(host))
    good = sum(one.recv(1000).endswith(f"http {host}\n".encode()) for one in all)
    return f"{good} begun"


def udp(host, port, family=0):
    with connect(host, port, family, socket.SOCK_DGRAM) as one:
        one.settimeout(TIME)
        one.send(b"hello")
        return one.recv(100).decode()


def query(name, kind=1):
    parts = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + parts + b"\0" + struct.pack(">2H", kind, 1)


def dns(server, name, kind=1, stream=False):
    asked = query(name, kind)
    with connect(server, 53, 0, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as one:
        one.settimeout(TIME)
        if stream:
            one.sendall(struct.pack(">H", len(asked)) + asked)
            reply = one.recv(struct.unpack(">H", one.recv(2, socket.MSG_WAITALL))[0])
        else:
            one.send(asked)
            reply = one.recv(4096)
    return f"rcode {reply[3] & 15}, {struct.unpack('>H', reply[6:8])[0]} answers"


def get(url, proxy=None):
    handler = urllib.request.ProxyHandler({"http": proxy} if proxy else {})
    with urllib.request.build_opener(handler).open(url, timeout=TIME) as reply:
        return reply.read().decode().strip()


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * TIME)
    return done.stdout.strip() if done.returncode == 0 else f"failed: {done.stderr.strip().splitlines()[-1:]}"


def request(host, path="/"):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def resolve(name, family=0):
    found = {entry[4][0] for entry in socket.getaddrinfo(name, 80, family, socket.SOCK_STREAM)}
    return " ".join(sorted(found))


def hello(name):
    context = ssl.create_default_context()
    inner, outer = ssl.MemoryBIO(), ssl.MemoryBIO()
    made = context.wrap_bio(inner, outer, server_hostname=name)
    try:
        made.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outer.read()


def fragmented(name):
    """The same hello in records of ten bytes."""
    message = hello(name)[5:]
    parts = [message[at : at + 10] for at in range(0, len(message), 10)]
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(part)) + part for part in parts)


V4, V6 = socket.AF_INET, socket.AF_INET6
failed = 0
for line in sys.stdin:
    name, _, code = line.strip().partition("|")
    try:
        print(f"{name}|{eval(code)}", flush=True)
    except socket.gaierror as why:
        print(f"{name}|no name ({why.errno})", flush=True)
    except urllib.error.URLError as why:
        cause = why.reason
        word = "no name" if isinstance(cause, socket.gaierror) else errno.errorcode.get(getattr(cause, "errno", 0), cause)
        print(f"{name}|{word}", flush=True)
    except ssl.SSLError as why:
        print(f"{name}|ECONNRESET", flush=True) if "EOF" in str(why) else print(f"{name}|{why}", flush=True)
    except TimeoutError:
        print(f"{name}|timeout", flush=True)
    except OSError as why:
        print(f"{name}|{errno.errorcode.get(why.errno, why)}", flush=True)
