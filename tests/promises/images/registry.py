"""A registry of one image: serves an image layout on loopback, and does wrong as it is told to.

registry.py LAYOUT MODE LOG [ADDRESS CERTIFICATE]: prints its port; LOG gets a line for each question, with what
came of who asks. With a certificate, it speaks TLS, on port 443 of the address.
"""

import hashlib
import http.server
import pathlib
import ssl
import sys
import time

layout, mode, log = pathlib.Path(sys.argv[1]), sys.argv[2], open(sys.argv[3], "a", buffering=1)
index = (layout / "index.json").read_bytes()
TOKEN, BASIC = "Bearer let-me", "Basic YWRhOndvcmQ="


def stored(name):
    """What a tag or a digest names."""
    if name in ("latest", "sha256:" + hashlib.sha256(index).hexdigest()):
        return index
    path = layout / "blobs" / name.replace(":", "/")
    return path.read_bytes() if ":" in name and path.is_file() else None


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def do_GET(self):
        who = self.headers.get("Authorization", "nobody")
        log.write(f"{self.path} {who}\n")
        port = self.server.server_port
        path, _, query = self.path.partition("?")
        parts = path.strip("/").split("/")
        if path == "/token":
            if mode == "token" and who != BASIC:
                return self.answer(401)
            right = query == "scope=repository:a/image:pull&service=the%20registry"
            return self.answer(200 if right else 400, b'{"token":"let-me"}')
        if parts[0] == "elsewhere":
            return self.answer(200, stored(parts[1]))
        wanted = {"token": TOKEN, "strangers": TOKEN, "basic": BASIC}.get(mode)
        if wanted and who != wanted:
            realm = f'Bearer realm="http://127.0.0.1:{port}/token",service="the registry",scope="x"'
            if mode == "basic":
                realm = 'Basic realm="x"'
            return self.answer(401, WWW_Authenticate=realm)
        if parts[:3] != ["v2", "a", "image"] or len(parts) != 5 or stored(parts[4]) is None:
            return self.answer(404)
        body, kind = stored(parts[4]), parts[3]
        if kind == "blobs":
            if mode == "token":
                # Another port of the same host is somebody else.
                return self.answer(307, Location=f"http://localhost:{port}/elsewhere/{parts[4]}")
            if mode == "away":
                return self.answer(302, Location="http://192.0.2.1/blob")
            if mode == "around":
                return self.answer(302, Location=self.path)
            if mode == "changed":
                body = body[:-1] + bytes([body[-1] ^ 1])
            if mode == "short":
                body = body[:-1]
            if mode == "cut":
                self.close_connection = True
                return self.answer(200, body[:-1], Content_Length=str(len(body)))
            if mode == "long":
                self.send_response(200)
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(bytes(1 << 20))
                except OSError:
                    return None
            if mode == "slow":
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2])
                log.write("half\n")
                time.sleep(600)
        if kind == "manifests":
            if mode == "other" and parts[4] != "latest":
                body = body.replace(b"schemaVersion", b"schemaversion")
            if mode == "both" or mode == "large":
                config = b'{"digest":"sha256:%s","size":1}' % (b"0" * 64)
                body = index[:-1] + b',"config":' + config + b',"layers":[]}'
            if mode == "large":
                body = b" " * (5 << 20) + body
        return self.answer(200, body)


place = (sys.argv[4], 443) if sys.argv[4:] else ("127.0.0.1", 0)
server = http.server.ThreadingHTTPServer(place, Registry)
if sys.argv[5:]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[5])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.daemon_threads = True
# Who hangs up is refused what it was sent, as it should be.
server.handle_error = lambda *_: None
print(server.server_port, flush=True)
server.serve_forever()
