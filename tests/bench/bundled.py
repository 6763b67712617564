"""The bundled images that serve something, for the benchmarks: how each is started and what it is to serve."""

import contextlib
import http.client
import os
import socket
import ssl
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import archives
import certificates
import lab
from machine import Machine

OPTIONS = "ip=10.0.2.15/24 gw=10.0.2.2"
SECRET = b"what is inside"
PATIENCE = 10


class Image:
    """An image on the user network. `size_limit` is in bytes, `memory_limit` in KB: what it must be content with."""

    port = 80

    def __init__(self, name, size_limit, memory_limit):
        self.name = name
        self.path = os.path.join(lab.UNIKERNELS, f"{name}.elf")
        self.size_limit = size_limit
        self.memory_limit = memory_limit

    def exists(self):
        return os.path.exists(self.path)

    def prepare(self, directory):
        """Makes what it needs to be started with."""

    def options(self):
        return OPTIONS

    ramdisk = None

    def start(self, memory, options=""):
        """A machine of so many KB, its port forwarded to one of the loopback interface's."""
        self.host_port = lab.free_port()
        return Machine(self.path, memory=f"{memory}K", options=f"{self.options()} {options}".strip(), ramdisk=self.ramdisk,
                       network=f"user,id=net,hostfwd=tcp:127.0.0.1:{self.host_port}-:{self.port}")

    def serve(self):
        """Whether the machine serves all of a page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.host_port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            answer = connection.getresponse()
            return answer.status == 200 and len(answer.read()) > 0


class Pinata(Image):
    """Which is to give its secret to somebody whom its authority vouches for."""

    port = 10000

    def prepare(self, directory):
        lab.need("openssl")
        authority = certificates.self_signed(directory, "authority")
        machine, self.client = authority.sign("machine"), authority.sign("client")
        self.authority = authority.certificate
        self.ramdisk = os.path.join(directory, "pinata.cpio")
        with open(self.ramdisk, "wb") as file:
            file.write(archives.cpio({"ca.pem": authority.text(), "cert.pem": machine.text(), "key.pem": machine.text("key"),
                                      "secret": SECRET}))

    def options(self):
        return f"{OPTIONS} token={os.urandom(16).hex()} time={int(time.time())}"

    def serve(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.authority)
        context.load_cert_chain(self.client.certificate, self.client.key)
        with socket.create_connection(("127.0.0.1", self.host_port), PATIENCE) as connection:
            with context.wrap_socket(connection) as secured:
                return secured.recv(len(SECRET)) == SECRET


def images(directory):
    """Those that were built, ready to be started."""
    known = [Image("www", 200_000, 8192), Image("2048", 250_000, 8192), Image("stats", 220_000, 8192),
             Pinata("pinata", 820_000, 16384)]
    built = [image for image in known if image.exists()]
    if not built:
        lab.skip(f"no images in {lab.UNIKERNELS}")
    for image in built:
        image.prepare(directory)
    return built
