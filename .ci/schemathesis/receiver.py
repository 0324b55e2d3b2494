"""What webhooks and files to send lead to while the API is checked: every POST is taken, every GET is a file by its ending.

Prints its address once it listens, and ends when it is told to.
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08\x08\x02\0\0\0\0\0\0\0"
WEBP = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x01\0\xff\x01\0"
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
OGG = b"OggS\0\x02" + bytes(8) + b"\1\0\0\0" + bytes(8) + b"\x01\x13OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0"
FILES = {"png": PNG, "webp": WEBP, "mp4": MP4, "ogg": OGG, "pdf": b"%PDF-1.7\n%%EOF\n"}


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200)

    def do_GET(self):
        file = FILES.get(self.path.rpartition(".")[2])
        self.answer(200, file) if file else self.answer(404)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
