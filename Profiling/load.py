"""How a service answers under load: python load.py URL [SECONDS [hostile]]

Requests come at times of their own, whether or not earlier ones are answered (an open loop, Poisson): so many a second as a share of the
most that eight clients get answered. Each asks for another sentence. Prints for each share what was answered and sent away a second, and
the latency of what was answered. With `hostile` a sixth of the clients, eight standing for the capacity, send one after the other what takes long:
bodies that trickle, large pictures of nothing, a million keys; the requests of the others are counted.
"""
import asyncio
import json
import random
import struct
import sys
import time
import zlib
from urllib.parse import urlparse

url = urlparse(sys.argv[1])
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 8
things = "bridge river airport plane harbour ship stadium road forest beach tank church school field desert".split()
isHostile = len(sys.argv) > 3
random.seed(1)


def picture(side):
    def chunk(name, data): return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    packed = zlib.compress((b"\0" * (1 + 3 * side)) * side, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


heavy = [("image/png", picture(8000)), ("application/json", json.dumps({f"k{i}": 0 for i in range(1_000_000)}).encode()), ("image/jpeg", None)] if isHostile else []


async def annoy(number):
    """One request that takes long, of a client that leaves after some seconds."""
    kind, body = heavy[number % 3]
    try:
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(f"POST /v1/search HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: {kind}\r\nContent-Length: {len(body or b'') or 1000000}\r\n\r\n".encode())
        if body: writer.write(body)
        for _ in range(10):
            if not body: writer.write(b"x")
            try: await asyncio.wait_for(reader.read(1000), 0.5)
            except TimeoutError: continue
            break
        writer.close()
    except OSError: pass


def request():
    body = json.dumps({"text": f"a {random.choice(things)} near a {random.choice(things)} and {random.randrange(10000)} trees"})
    return f"POST /v1/search HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def ask(pool):
    """Status and seconds of one request, over a connection that is idle or new."""
    began = time.perf_counter()
    reader, writer = pool.pop() if pool else await asyncio.open_connection(url.hostname, url.port)
    writer.write(request())
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    pool.append((reader, writer))
    return int(head[9:12]), time.perf_counter() - began


def quantile(values, share): return sorted(values)[min(len(values) - 1, int(share * len(values)))] * 1000 if values else float("nan")


async def closed(clients, pool):
    """Requests answered a second where each client asks again once it has its answer."""
    until, times = time.perf_counter() + seconds, []
    async def client():
        while time.perf_counter() < until: times.append((await ask(pool))[1])
    await asyncio.gather(*(client() for _ in range(clients)))
    return len(times) / seconds, times


async def opened(rate, most, pool):
    began, tasks, at = time.perf_counter(), [], 0.0
    async def hostile(number):
        while True:
            await annoy(number)
            number += 1
    others = [asyncio.create_task(hostile(i)) for i in range(max(1, round(8 * rate / most / 5)))] if isHostile else []
    while at < seconds:
        at += random.expovariate(rate)
        wait = began + at - time.perf_counter()
        if wait > 0: await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(ask(pool)))
    found = await asyncio.gather(*tasks)
    for other in others: other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    return found


async def main():
    pool = []
    alone, times = await closed(1, pool)
    print(f"one client: {alone:.0f} a second, p50 {quantile(times, 0.5):.2f} ms, p99 {quantile(times, 0.99):.2f} ms")
    most, _ = await closed(8, pool)
    print(f"eight clients: {most:.0f} a second\n\n| offered | a second | answered | sent away | p50 ms | p99 ms |\n|---|---|---|---|---|---|")
    for share in (0.25, 0.5, 1, 2, 4):
        found = await opened(share * most, most, pool)
        served = [time for status, time in found if status == 200]
        away = sum(status == 429 for status, _ in found)
        assert len(served) + away == len(found), {status for status, _ in found}
        print(f"| {share} | {len(found) / seconds:.0f} | {len(served) / seconds:.0f} | {away / seconds:.0f} "
              f"| {quantile(served, 0.5):.2f} | {quantile(served, 0.99):.2f} |", flush=True)


asyncio.run(main())
