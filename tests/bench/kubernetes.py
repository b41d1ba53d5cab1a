# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benches with an API server use: a client of it on one kept connection, and questions to DNS servers."""
import http.client
import json
import random
import socket
import ssl
import struct
import time

TOKEN = "admintoken"


class Api:
    def __init__(self, address, ca):
        self.connection = http.client.HTTPSConnection(address, 6443, context=ssl.create_default_context(cafile=ca))
        self.headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json"}

    def ask(self, method, path, body):
        self.connection.request(method, path, json.dumps(body).encode(), self.headers)
        answer = self.connection.getresponse()
        said = answer.read()
        if answer.status // 100 != 2:
            raise OSError("%s %s: %d %s" % (method, path, answer.status, said[:300].decode()))

    def service(self, namespace, name, address):
        """Makes a Service; address "None": headless."""
        self.ask("POST", "/api/v1/namespaces/%s/services" % namespace, {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"clusterIP": address, "ports": [{"name": "http", "port": 80}]}})

    def endpoints(self, method, namespace, service, address):
        """Makes (POST) or replaces (PUT) the EndpointSlice of a headless Service: one endpoint."""
        path = "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices" % namespace
        self.ask(method, path + ("/" + service if method == "PUT" else ""), {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service,
                                                     "service.kubernetes.io/headless": ""}},
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [{"name": "http", "port": 80}]})

    def watch_services(self):
        """Names of Services as their events come."""
        self.connection.request("GET", "/api/v1/services?watch=1&resourceVersion=0", headers=self.headers)
        for line in self.connection.getresponse():
            event = json.loads(line)
            if event["type"] == "ADDED":
                yield event["object"]["metadata"]["name"]


class Asker:
    """Questions for an A record, one at a time, by UDP."""

    def __init__(self, server, port, patience=0.2):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((server, port))
        self.socket.settimeout(patience)
        self.patience = patience
        self.id = random.randrange(65536)

    def ask(self, name):
        """The address, None for no answer in time, else (response code, number of answers)."""
        self.id = self.id + 1 & 0xFFFF
        labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
        packet = struct.pack("!6H", self.id, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)
        self.socket.send(packet)
        until = time.monotonic() + self.patience
        while time.monotonic() < until:
            try:
                got = self.socket.recv(1232)
            except socket.timeout:
                return None
            if got[:2] != packet[:2]:
                continue
            rcode, answers = got[3] & 15, struct.unpack_from("!H", got, 6)[0]
            # The one record follows the question: its name, spelt out or as a pointer, type, class, TTL, length.
            at = len(packet) + (2 if got[len(packet):len(packet) + 1] == b"\xc0" else len(labels) + 1)
            if rcode or answers != 1 or got[at:at + 4] != b"\0\1\0\1":
                return rcode, answers
            return socket.inet_ntoa(got[at + 10:at + 14])
        return None


def percentile(values, p):
    values = sorted(values)
    return values[max(0, -(-len(values) * p // 100) - 1)] if values else float("inf")
