"""As much of D-Bus as the tests need: a service, and a client of it (D-Bus Specification, "Message Protocol")."""
import os, socket, struct, sys

def pad(data, to):
    return data + b"\0" * (-len(data) % to)

def text(value):
    value = value.encode()
    return struct.pack("<I", len(value)) + value + b"\0"

class Bus:
    def __init__(self, address):
        path = address.removeprefix("unix:path=").split(",")[0]
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.stream = self.socket.makefile("rb")
        # Who it is the kernel says: the ids inside need not be those outside.
        self.socket.sendall(b"\0AUTH EXTERNAL\r\n")
        assert self.stream.readline().startswith(b"DATA")
        self.socket.sendall(b"DATA\r\n")
        assert self.stream.readline().startswith(b"OK")
        self.socket.sendall(b"BEGIN\r\n")
        self.serial = 0
        self.daemon("Hello")

    def send(self, kind, fields, signature="", body=b""):
        self.serial += 1
        if signature:
            fields = fields + [(8, "g", signature)]
        encoded = b""
        for code, of, value in fields:
            encoded = pad(encoded, 8) + bytes([code, len(of)]) + of.encode() + b"\0"
            if of == "g":
                encoded += bytes([len(value)]) + value.encode() + b"\0"
            elif of == "u":
                encoded = pad(encoded, 4) + struct.pack("<I", value)
            else:
                encoded = pad(encoded, 4) + text(value)
        head = struct.pack("<cBBBIII", b"l", kind, 0, 1, len(body), self.serial, len(encoded))
        self.socket.sendall(pad(head + encoded, 8) + body)
        return self.serial

    def receive(self):
        head = self.stream.read(16)
        if len(head) < 16:
            raise EOFError
        kind, length, serial, fields = head[1], *struct.unpack("<III", head[4:16])
        encoded = self.stream.read(fields + -fields % 8)
        body = self.stream.read(length)
        found, at = {}, 0
        while at < fields:
            at += -at % 8
            code, of = encoded[at], chr(encoded[at + 2])
            at += 4
            if of == "g":
                size = encoded[at]
                found[code], at = encoded[at + 1 : at + 1 + size], at + size + 2
            else:
                at += -at % 4
                value = struct.unpack("<I", encoded[at : at + 4])[0]
                at += 4
                if of != "u":
                    value, at = encoded[at : at + value], at + value + 1
                found[code] = value
        return kind, serial, found, body

    def call(self, name, path, interface, member, signature="", body=b""):
        fields = [(1, "o", path), (2, "s", interface), (3, "s", member), (6, "s", name)]
        serial = self.send(1, fields, signature, body)
        while True:
            kind, _, found, body = self.receive()
            if kind in (2, 3) and found.get(5) == serial:
                return kind == 2, found, body

    def daemon(self, member, signature="", body=b""):
        name = "org.freedesktop.DBus"
        return self.call(name, "/org/freedesktop/DBus", name, member, signature, body)

    def owns(self, name):
        done, _, body = self.daemon("RequestName", "su", pad(text(name), 4) + struct.pack("<I", 4))
        return done and struct.unpack("<I", body)[0] == 1

    def calls(self, name, member):
        done, _, _ = self.call(name, "/object", "org.example.Interface", member)
        return done

    def names(self):
        _, _, body = self.daemon("ListNames")
        return sorted(name for name in body.decode(errors="replace").split("\0") if "org.example." in name)

address, what, *names = sys.argv[1:]
if what == "serve":
    bus = Bus(address)
    assert all(bus.owns(name) for name in names[1:])
    open(names[0], "w").close()
    while True:
        kind, serial, found, _ = bus.receive()
        if kind == 1:
            bus.send(2, [(5, "u", serial), (6, "s", found[7].decode())])
for words in [what, *names] if what != "serve" else []:
    bus = Bus(address)
    verb, _, name = words.partition("=")
    name, _, member = name.partition("!")
    if verb == "call":
        print(words, bus.calls(name, member or "Method"))
    elif verb == "own":
        print(words, bus.owns(name))
    elif verb == "list":
        print(words, [name[name.index("org.") :] for name in bus.names()])
