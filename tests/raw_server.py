"""A server on loopback that sends whatever bytes a test names, also none that HTTP knows."""

import contextlib
import socketserver
import threading

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def whole(body, head=HEAD):
    return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class RawServer:
    """`says(request)` gives the bytes, piece by piece; the connection ends after the last one."""

    def __init__(self, says, context=None):
        self.requests, self.sent, self.stopped = [], 0, threading.Event()
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError):
                    if context:
                        self.request = context.wrap_socket(self.request, server_side=True)
                        self.rfile = self.request.makefile("rb")
                    head = b"".join(iter(self.rfile.readline, b"\r\n"))
                    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
                    server.requests.append((head.decode(), self.rfile.read(int(length or 0))))
                    for piece in says(head):
                        self.request.sendall(piece)
                        server.sent += len(piece)

        self.tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.tcp.daemon_threads = True
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.tcp.server_address[1]}/v1"


@contextlib.contextmanager
def serve_raw(says, context=None):
    server = RawServer(says, context)
    thread = threading.Thread(target=server.tcp.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.tcp.shutdown()
        server.tcp.server_close()
        thread.join()
