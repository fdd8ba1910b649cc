"""How services answer under load: python load.py [--seconds S] [--hostile] [--vectors FILE.npy] NAME=URL[#PID] ...

Requests come at times of their own, whether or not earlier ones are answered (an open loop, Poisson): so many a second as a share of the
most that eight clients of that service get answered. Each asks for another sentence or, with --vectors, for what lies near a row of FILE, in
clip-retrieval's own words. Prints for each share what was answered and sent away a second, the latency of what was answered and, where the
process is named, its memory; services take turns at every share. With --hostile a sixth of the clients, eight standing for the capacity, send
one after the other what takes long, from a process of their own: bodies that trickle, large pictures of nothing, a million keys; the requests
of the others are counted.
"""
import argparse
import asyncio
import json
import multiprocessing
import random
import resource
import struct
import time
import zlib
from urllib.parse import urlparse

THINGS = "bridge river airport plane harbour ship stadium road forest beach tank church school field desert".split()


class Service:
    def __init__(self, text):
        self.name, address = text.split("=", 1)
        address, _, self.process = address.partition("#")
        self.url, self.pool = urlparse(address), []

    def memory(self):
        if not self.process: return "-"
        return f"{int(next(line for line in open(f'/proc/{self.process}/status') if line.startswith('VmRSS')).split()[1]) / 1024:.0f}"


def message(path, host, kind, body):
    return f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


# MARK: Those who mean no good

def picture(side):
    def chunk(name, data): return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    packed = zlib.compress((b"\0" * (1 + 3 * side)) * side, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def heavy(host):
    keys = json.dumps({f"k{i}": 0 for i in range(1_000_000)}).encode()
    trickle = f"POST /v1/search HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/jpeg\r\nContent-Length: 1000000\r\n\r\n".encode()
    return [message("/v1/search", host, "image/png", picture(8000)), message("/v1/search", host, "application/json", keys), trickle]


async def annoy(url, sent, trickles):
    """One request that takes long, of a client that leaves after some seconds."""
    try:
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(sent)
        for _ in range(10):
            if trickles: writer.write(b"x")
            try: await asyncio.wait_for(reader.read(1000), 0.5)
            except TimeoutError: continue
            break
        writer.close()
    except OSError: pass


def annoyers(url, count):
    async def hostile(number, what):
        while True:
            await annoy(url, what[number % 3], number % 3 == 2)
            number += 1

    async def all(): await asyncio.gather(*(hostile(i, what) for i in range(count)))
    what = heavy(url.netloc)
    asyncio.run(all())


# MARK: Those who ask

def question(service, vectors):
    if vectors is not None:
        row = vectors[random.randrange(len(vectors))].tolist()
        asked = {"embedding_input": row, "modality": "image", "num_images": 10, "indice_name": "images"}
        return message("/knn-service", service.url.netloc, "application/json", json.dumps(asked).encode())
    text = f"a {random.choice(THINGS)} near a {random.choice(THINGS)} and {random.randrange(10000)} trees"
    return message("/v1/search", service.url.netloc, "application/json", json.dumps({"text": text}).encode())


async def ask(service):
    """Status and seconds of one request, over a connection that is idle or new; status 0 where the service hung up."""
    sent = random.choice(service.questions)
    began = time.perf_counter()
    try:
        reader, writer = service.pool.pop() if service.pool else await asyncio.open_connection(service.url.hostname, service.url.port)
        writer.write(sent)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    except (OSError, asyncio.IncompleteReadError): return 0, time.perf_counter() - began
    if b"connection: close" in head or head.startswith(b"http/1.0"): writer.close()
    else: service.pool.append((reader, writer))
    return int(head[9:12]), time.perf_counter() - began


def quantile(values, share): return sorted(values)[min(len(values) - 1, int(share * len(values)))] * 1000 if values else float("nan")


async def closed(service, clients, options):
    """Requests answered a second where each client asks again once it has its answer."""
    until, times = time.perf_counter() + options.seconds, []

    async def client():
        while time.perf_counter() < until:
            status, took = await ask(service)
            if status == 200: times.append(took)
    await asyncio.gather(*(client() for _ in range(clients)))
    return len(times) / options.seconds, times


async def opened(service, share, options):
    rate = share * service.most
    tasks, at, others = [], 0.0, None
    if options.hostile:
        others = multiprocessing.get_context("spawn").Process(target=annoyers, args=(service.url, max(1, round(8 * share / 5))), daemon=True)
        others.start()
        # What they send has to be made first.
        await asyncio.sleep(3)
    began = time.perf_counter()
    while at < options.seconds:
        at += random.expovariate(rate)
        wait = began + at - time.perf_counter()
        if wait > 0: await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(ask(service)))
    found = await asyncio.gather(*tasks)
    if others: others.kill()
    return found


async def main(options):
    random.seed(1)
    for service in options.services:
        # Made before, so that the clients take little of the machine that they share with the service.
        service.questions = [question(service, options.vectors) for _ in range(5000)]
        alone, times = await closed(service, 1, options)
        service.most, _ = await closed(service, 8, options)
        print(f"{service.name}: one client {alone:.0f} a second, p50 {quantile(times, 0.5):.2f} ms, p99 {quantile(times, 0.99):.2f} ms; "
              f"eight clients {service.most:.0f} a second", flush=True)
    print("\n| offered | service | a second | answered | sent away | failed | p50 ms | p99 ms | RSS MB |\n|---|---|---|---|---|---|---|---|---|")
    for share in (0.25, 0.5, 1, 2, 4):
        for service in options.services:
            found = await opened(service, share, options)
            served = [time for status, time in found if status == 200]
            away = sum(status == 429 for status, _ in found)
            rest = len(found) - len(served) - away
            print(f"| {share} | {service.name} | {len(found) / options.seconds:.0f} | {len(served) / options.seconds:.0f} | {away / options.seconds:.0f} "
                  f"| {rest / options.seconds:.0f} | {quantile(served, 0.5):.2f} | {quantile(served, 0.99):.2f} | {service.memory()} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("services", nargs="+", type=Service, metavar="NAME=URL[#PID]")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--vectors")
    options = parser.parse_args()
    if options.vectors:
        import numpy
        options.vectors = numpy.load(options.vectors)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(options))
