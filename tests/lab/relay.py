#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brokers that do what they like.

	relay.py silent PORT
		takes connections and says nothing

	relay.py relay PORT BROKER_PORT BROKER_DIR DATA CONTROL_PORT
		stands before the broker on BROKER_PORT with the broker's own certificate, and hands on
		everything both ways; on CONTROL_PORT (loopback) it is told, a line each:
			inject TOPIC FILE	send this to every client, subscribed or not
			drop TOPIC		lose the next message of this topic, for every client
"""
import asyncio
import ssl
import sys

CLIENTS = set()


async def packet(reader):
    """One MQTT packet: (first byte, rest, all of it)."""
    head = await reader.readexactly(1)
    length, shift, raw = 0, 0, head
    while True:
        byte = await reader.readexactly(1)
        raw += byte
        length |= (byte[0] & 127) << shift
        shift += 7
        if byte[0] < 128:
            break
    rest = await reader.readexactly(length)
    return head[0], rest, raw + rest


def publish(topic, payload):
    rest = len(topic).to_bytes(2, "big") + topic + payload
    length, n = b"", len(rest)
    while True:
        n, low = n >> 7, n & 127
        length += bytes([low | (128 if n else 0)])
        if not n:
            break
    return b"\x30" + length + rest


class Client:
    def __init__(self, writer):
        self.writer = writer
        self.drops = []

    def lost(self, first, rest):
        if first >> 4 != 3:
            return False
        topic = rest[2:2 + int.from_bytes(rest[:2], "big")]
        if topic not in self.drops:
            return False
        self.drops.remove(topic)
        return True


async def hand_on(reader, writer, client=None):
    while True:
        first, rest, raw = await packet(reader)
        if client and client.lost(first, rest):
            continue
        writer.write(raw)
        await writer.drain()


async def serve(reader, writer, port, context):
    client = Client(writer)
    try:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    except OSError:
        writer.close()
        return
    CLIENTS.add(client)
    ways = [asyncio.ensure_future(hand_on(reader, up_writer)),
            asyncio.ensure_future(hand_on(up_reader, writer, client))]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    CLIENTS.discard(client)
    for way in ways:
        way.cancel()
    await asyncio.gather(*ways, return_exceptions=True)
    writer.close()
    up_writer.close()


async def control(reader, writer):
    while line := (await reader.readline()).decode().split():
        if line[0] == "inject":
            with open(line[2], "rb") as f:
                payload = f.read()
            for client in CLIENTS:
                client.writer.write(publish(line[1].encode(), payload))
        else:
            for client in CLIENTS:
                client.drops.append(line[1].encode())
        writer.write(b"ok\n")
        await writer.drain()
    writer.close()


async def relay(port, broker_port, broker_dir, data, control_port):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(broker_dir + "/server.crt", broker_dir + "/server.key")
    up = ssl.create_default_context(cafile=data + "/ca.crt")
    up.load_cert_chain(data + "/tls.crt", data + "/tls.key")
    up.check_hostname = False
    await asyncio.start_server(control, "127.0.0.1", int(control_port))
    listener = await asyncio.start_server(
        lambda r, w: serve(r, w, int(broker_port), up), "0.0.0.0", int(port), ssl=server)
    await listener.serve_forever()


async def silent(port):
    async def wait(reader, _writer):
        while await reader.read(4096):
            pass

    listener = await asyncio.start_server(wait, "0.0.0.0", int(port))
    await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run({"relay": relay, "silent": silent}[sys.argv[1]](*sys.argv[2:]))
