"""Small things drawn from above, to be pasted into training images where nobody's caption tells the place of anything.

A caption says that there are planes; that they are the white crosses and not the apron around them it does not say, and on every
photograph both come together. A drawn plane in a field has the name alone.
"""
import math

import numpy as np
import torch
from PIL import Image, ImageChops, ImageDraw, ImageFilter

# What is drawn, and the scene whose photographs have it already.
KINDS = {"plane": "airport", "storage tank": "storagetanks", "boat": "port"}
CANVAS = 256


def _plane(random):
    """The silhouette of an airliner whose nose points up, and no marks on it."""
    mask = Image.new("L", (CANVAS, CANVAS), 0)
    draw, middle, u = ImageDraw.Draw(mask), CANVAS / 2, CANVAS / 2 * 0.92
    place = lambda x, y: (middle + x * u, middle + y * u)
    width, span, sweep = random.uniform(0.07, 0.13), random.uniform(0.75, 1.0), random.uniform(0.05, 0.5)
    draw.ellipse([*place(-width, -1), *place(width, -0.5)], fill=255)
    draw.rectangle([*place(-width, -0.78), *place(width, 0.6)], fill=255)
    draw.polygon([place(-width, 0.55), place(width, 0.55), place(0, 1)], fill=255)
    root, chord, tip = random.uniform(-0.3, -0.05), random.uniform(0.28, 0.42), random.uniform(0.06, 0.16)
    tail, half = random.uniform(0.62, 0.72), random.uniform(0.28, 0.42)
    for side in (-1, 1):
        draw.polygon([place(0, root), place(side * span, root + sweep), place(side * span, root + sweep + tip), place(0, root + chord)], fill=255)
        draw.polygon([place(0, tail), place(side * half, tail + 0.15), place(side * half, tail + 0.25), place(0, tail + 0.2)], fill=255)
        for where in (0.35, 0.6)[: random.integers(0, 3)]:
            y = root + sweep * where
            draw.rectangle([*place(side * span * where - 0.04, y - 0.06), *place(side * span * where + 0.04, y + 0.12)], fill=255)
    return mask, []


def _tank(random):
    """A round roof with a rim, a ring or spokes."""
    mask = Image.new("L", (CANVAS, CANVAS), 0)
    middle, r = CANVAS / 2, CANVAS / 2 * 0.85
    circle = lambda k: [middle - r * k, middle - r * k, middle + r * k, middle + r * k]
    ImageDraw.Draw(mask).ellipse(circle(1), fill=255)
    marks = [lambda d, c: d.ellipse(circle(0.97), outline=c, width=6)]
    if random.random() < 0.5: marks.append(lambda d, c, k=random.uniform(0.05, 0.6): d.ellipse(circle(k), outline=c, width=4))
    if random.random() < 0.3:
        marks += [lambda d, c, a=a: d.line([middle, middle, middle + r * math.cos(a), middle + r * math.sin(a)], fill=c, width=3)
                  for a in np.arange(8) * math.pi / 4]
    return mask, marks


def _boat(random):
    """A hull that is pointed in front, with a house on it."""
    mask = Image.new("L", (CANVAS, CANVAS), 0)
    middle, u, w = CANVAS / 2, CANVAS / 2 * 0.92, random.uniform(0.14, 0.3)
    place = lambda x, y: (middle + x * u, middle + y * u)
    bow = random.uniform(-0.7, -0.3)
    ImageDraw.Draw(mask).polygon([place(0, -1), place(w, bow), place(w, 0.9), place(w * 0.8, 1), place(-w * 0.8, 1), place(-w, 0.9), place(-w, bow)], fill=255)
    top, bottom = sorted(random.uniform(-0.2, 0.9, 2))
    return mask, [lambda d, c: d.rectangle([*place(-w * 0.6, top), *place(w * 0.6, bottom)], fill=c)]


def draw(kind, random):
    """One thing in a random size, direction, colour and light: u8 RGBA [h, w, 4], its box within that: x, y, width, height."""
    mask, marks = {"plane": _plane, "storage tank": _tank, "boat": _boat}[kind](random)
    tone = random.choice([random.uniform(205, 250), random.uniform(120, 205)], p=[0.75, 0.25])
    colour = np.clip(tone * random.uniform(0.92, 1.05, 3), 0, 255)
    body = Image.new("RGB", mask.size, tuple(int(c) for c in colour))
    pen = ImageDraw.Draw(body)
    for mark in marks: mark(pen, tuple(int(c) for c in colour * random.uniform(0.45, 0.9)))
    angle = random.uniform(0, 360)
    # The light comes from one side: a slope over the whole thing, and its shadow on the other.
    body, mask = body.rotate(angle, Image.BICUBIC), mask.rotate(angle, Image.BICUBIC)
    sun, reach = random.uniform(0, 2 * math.pi), random.uniform(0.02, 0.14) * CANVAS
    slope = np.linspace(-1, 1, CANVAS)
    lit = 1 + random.uniform(0, 0.15) * (slope[None, :, None] * math.cos(sun) + slope[:, None, None] * math.sin(sun))
    body = Image.fromarray(np.clip(np.asarray(body) * lit, 0, 255).astype(np.uint8))
    shadow = ImageChops.offset(mask, int(-reach * math.cos(sun)), int(-reach * math.sin(sun)))
    shadow = shadow.filter(ImageFilter.GaussianBlur(2)).point(lambda v, s=random.uniform(0.2, 0.65): int(v * s))
    picture = Image.composite(body, Image.new("RGB", body.size, (18, 20, 24)), mask)
    picture.putalpha(ImageChops.lighter(mask, shadow))
    size = int(np.exp(random.uniform(math.log(16), math.log(88))))
    box = mask.resize((size, size), Image.BOX).point(lambda v: 255 * (v > 64)).getbbox() or (0, 0, size, size)
    return np.asarray(picture.resize((size, size), Image.BOX)).copy(), (box[0], box[1], box[2] - box[0], box[3] - box[1])


def bank(seed, each=300):
    """Drawn things by kind, the same for the same seed."""
    random = np.random.default_rng(seed)
    return {kind: [draw(kind, random) for _ in range(each)] for kind in KINDS}


def cells_on(box, side, grid):
    """bool[grid * grid]: a patch is on a box when its centre lies in it, or the box's centre in the patch."""
    x, y, w, h = box
    cell = side / grid
    out = torch.zeros(grid, grid, dtype=torch.bool)
    middle = (torch.arange(grid) + 0.5) * cell
    out |= ((middle >= y) & (middle < y + h))[:, None] & ((middle >= x) & (middle < x + w))
    out[min(int((y + h / 2) / cell), grid - 1), min(int((x + w / 2) / cell), grid - 1)] = True
    return out.flatten()


def paste(pixels, scenes, things, random):
    """Pastes one to three things of one kind into each image of pixels f32[R, 3, S, S], in place.

    scenes: the name of each image's scene, "" where it has none; what belongs there is not pasted. Returns for each image the
    kind, and bool[R, N] the patches that are on a thing (a patch is 32 pixels wide).
    """
    side = pixels.shape[-1]
    grid = side // 32
    kinds, cells = [], torch.zeros(len(pixels), grid * grid, dtype=torch.bool)
    pick = lambda n: int(torch.randint(0, n, (1,), generator=random))
    for row, scene in enumerate(scenes):
        free = [k for k, home in KINDS.items() if home != scene]
        kinds.append(free[pick(len(free))])
        for _ in range(1 + pick(3)):
            picture, box = things[kinds[-1]][pick(len(things[kinds[-1]]))]
            size = len(picture)
            x, y = pick(side - size + 1), pick(side - size + 1)
            rgba = torch.from_numpy(picture).float().permute(2, 0, 1)
            under = pixels[row, :, y : y + size, x : x + size]
            under.lerp_(rgba[:3], rgba[3:] / 255)
            cells[row] |= cells_on((x + box[0], y + box[1], box[2], box[3]), side, grid)
    return kinds, cells
