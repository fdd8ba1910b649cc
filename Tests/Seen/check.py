"""Whether files of the kinds that people have are taken for what they are: python check.py FTF MODEL WORK [SEED [PART...]].

Everything is made here, small and at random from SEED; what is right is computed beside, by rasterio, numpy, Pillow, pyproj, shapely, ftfy and
Python's datetime. FTF is the command, MODEL a model of photographs, WORK a folder that is made anew.
"""
import datetime
import html
import json
import os
import random
import shutil
import subprocess
import sys
import warnings

import ftfy
import numpy as np
import pyarrow.parquet
import pyproj
import rasterio
import rasterio.transform
import safetensors.numpy
import shapely
import shapely.geometry
from PIL import Image

ftf, model, work = map(os.path.abspath, sys.argv[1:4])
seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
print(f"seed {seed}")
random.seed(seed)
rng = np.random.default_rng(seed)
goldens = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Goldens")
shutil.rmtree(work, ignore_errors=True)
os.makedirs(work)
wrong, tried = [], 0
warnings.simplefilter("ignore")


def run(*arguments, **more): return subprocess.run([ftf, *map(str, arguments)], capture_output=True, text=True, timeout=300, **more)


def expect(name, is_right, what=""):
    global tried
    tried += 1
    if not is_right:
        wrong.append(name)
        print(f"WRONG {name}: {what}", file=sys.stderr)


def picture(side=96):
    """A picture with shapes of several sizes: u8[side, side, 3]."""
    y, x = np.mgrid[0:side, 0:side] / side
    base = np.stack([np.sin(9 * x + 3 * y), np.cos(5 * y - 2 * x), np.sin(4 * x * y + 1)], -1) * 60 + 110
    for _ in range(12):
        cx, cy, r = rng.random(3) * [1, 1, 0.15] + [0, 0, 0.03]
        base[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = rng.random(3) * 220 + 15
    return np.clip(base + rng.normal(0, 4, base.shape), 0, 255).astype(np.uint8)


def vectors(path, *options):
    """Vectors of what a file becomes, by window, and the items; or None and what was said."""
    name = f"{work}/{os.path.basename(path)}.index"
    shutil.rmtree(name, ignore_errors=True)
    said = run("index", name, path, "--model", model, *options)
    out = f"{name}.out"
    shutil.rmtree(out, ignore_errors=True)
    run("index", "export", name, out)
    if not os.path.exists(f"{out}/vectors.npy"): return None, said.stderr
    items = [json.loads(line) for line in open(f"{out}/items.jsonl")]
    values = np.load(f"{out}/vectors.npy")
    return {json.dumps(item.get("window")): v / np.linalg.norm(v) for item, v in zip(items, values)}, items


def alike(name, a, b, least=0.995, options=()):
    (x, said), (y, other) = vectors(a, *options), vectors(b, *options)
    if x is None or y is None: return expect(name, False, said if x is None else other)
    common = [float(x[k] @ y[k]) for k in x if k in y]
    if len(x) == len(y) == 1: common = [float(list(x.values())[0] @ list(y.values())[0])]
    expect(name, len(x) == len(y) and common and min(common) >= least, f"{len(x)} and {len(y)} windows, cosine {min(common, default=0):.4f}")


def write(path, bands, nodata=None, names=None, **more):
    """bands: [n, height, width]."""
    profile = dict(driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2], dtype=bands.dtype.name, nodata=nodata)
    profile.update(more)
    scale = profile.pop("scale", None)
    with rasterio.open(path, "w", **profile) as file:
        file.write(bands)
        for i, name in enumerate(names or []): file.set_band_description(i + 1, name)
        if scale: file.scales = [scale] * len(bands)


def stretched(bands, valid):
    """As a scene of this type is shown: the 2nd to the 98th percentile of what is valid, the rest the mean."""
    out = np.zeros(bands.shape[1:] + (3,), np.uint8)
    for c in range(3):
        values = np.sort(bands[c][valid].astype(float))
        low, high = (values[int(round((len(values) - 1) * q))] for q in (0.02, 0.98))
        out[..., c] = np.clip(np.rint((bands[c].astype(float) - low) / (high - low) * 255), 0, 255)
    out[~valid] = out[valid].reshape(-1, 3).mean(0).astype(np.uint8)
    return out


def values():
    """Every type x photometric x kind of nodata x sign of the scale."""
    ranges = {"uint8": (0, 1), "int8": (-120, 0.9), "uint16": (300, 14), "int16": (-1200, 9), "uint32": (70000, 1000), "int32": (-90000, 700),
              "float32": (-0.2, 0.004), "float64": (1e6, 0.0003)}
    for dtype, (start, step) in ranges.items():
        for kind in ("plain", "minus9999", "one band", "zero", "nan", "mask", "alpha", "miniswhite", "negative scale"):
            is_float = dtype.startswith("float")
            if kind == "nan" and not is_float or kind in ("minus9999", "one band") and dtype in ("uint8", "int8", "uint16", "uint32"): continue
            if kind == "zero" and dtype in ("int8", "int16", "int32", "float32", "float64") or kind == "alpha" and dtype not in ("uint8", "uint16"): continue
            shown = picture()
            bands = (shown.astype(float).transpose(2, 0, 1) * step + start)
            bands = (bands if is_float else np.rint(bands)).astype(dtype)
            valid, nodata, more = np.ones(bands.shape[1:], bool), None, {}
            if kind not in ("plain", "miniswhite", "negative scale"):
                valid[20:60, 10:40] = False
                if kind == "zero": bands[:, valid] = np.maximum(bands[:, valid], 1)
                missing = {"minus9999": -9999, "one band": -9999, "zero": 0, "nan": np.nan}.get(kind)
                if kind == "one band": bands[1][~valid] = missing
                elif missing is not None: bands[:, ~valid] = missing
                nodata = missing
            path, reference = f"{work}/{dtype}-{kind.replace(' ', '')}.tif", f"{work}/{dtype}-{kind.replace(' ', '')}.png"
            if kind == "miniswhite": bands = np.stack([bands[0]] * 3)
            right = bands[:3].astype(float)
            if kind in ("miniswhite", "negative scale"): right = -right
            if dtype == "uint8":
                seen = (right + 255 if kind in ("miniswhite", "negative scale") else right).transpose(1, 2, 0).astype(np.uint8)
                seen[~valid] = seen[valid].reshape(-1, 3).mean(0).astype(np.uint8)
            else: seen = stretched(right, valid)
            Image.fromarray(seen).save(reference)
            if kind == "miniswhite": write(path, bands[:1], photometric="MINISWHITE")
            elif kind == "negative scale": write(path, bands, photometric="RGB", scale=-1.0)
            elif kind == "alpha":
                alpha = np.where(valid, np.iinfo(dtype).max, 0).astype(dtype)[None]
                write(path, np.concatenate([bands, alpha]), photometric="RGB", ALPHA="YES")
            else:
                write(path, bands, nodata=nodata, photometric="RGB", **more)
                if kind == "mask":
                    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file: file.write_mask(np.where(valid, 255, 0).astype(np.uint8))
            alike(f"values: {dtype}, {kind}", path, reference)


def turns():
    shown = Image.fromarray(picture(120)).crop((0, 0, 120, 90))
    stored = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    for orientation in range(1, 9):
        # What is stored, so that turning it as said gives the picture.
        back = {1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
                6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}[orientation]
        lying = shown if back is None else shown.transpose(back)
        exif = Image.Exif()
        exif[274] = orientation
        upright = f"{work}/upright.png"
        shown.save(upright)
        lying.save(f"{work}/o{orientation}.tif", tiffinfo={274: orientation})
        lying.save(f"{work}/big{orientation}.tif", tiffinfo={274: orientation}, big_tiff=True)
        lying.save(f"{work}/o{orientation}.webp", lossless=True, exif=exif)
        lying.save(f"{work}/o{orientation}.jpg", quality=97, subsampling=0, exif=exif)
        for name in (f"o{orientation}.tif", f"big{orientation}.tif", f"o{orientation}.webp"): alike(f"turned: {name}", f"{work}/{name}", upright, 0.999)
        alike(f"turned: o{orientation}.jpg in windows", f"{work}/o{orientation}.jpg", upright, 0.98, ("--window", "64"))


def cut():
    """What lacks nothing of the picture is seen, what lacks some of it is refused; so is what is no picture but its thumbnail, or a sensor's values."""
    whole = Image.fromarray(picture())
    for mode in ("RGB", "L", "P", "RGBA"):
        whole.convert(mode).save(f"{work}/{mode}.png")
        bytes_ = open(f"{work}/{mode}.png", "rb").read()
        ends = bytes_.rindex(b"IEND") - 4
        for left, is_whole in ((ends, True), (ends + 6, True), (ends - 30, False), (len(bytes_) // 2, False)):
            with open(f"{work}/cut.png", "wb") as file: file.write(bytes_[:left])
            if is_whole: alike(f"cut: {mode}.png at {left}", f"{work}/cut.png", f"{work}/{mode}.png", 0.9999)
            else: expect(f"cut: {mode}.png at {left}", vectors(f"{work}/cut.png")[0] is None, "half a picture is indexed")
    small, large = Image.fromarray(picture(32)), Image.fromarray(picture(200))
    small.save(f"{work}/raw.tif", save_all=True, append_images=[large], tiffinfo={254: 1})
    small.save(f"{work}/old.tif", tiffinfo={255: 2})
    small.save(f"{work}/pages.tif", save_all=True, append_images=[large])
    for photometric in (32803, 34892):
        small.convert("L").save(f"{work}/{photometric}.tif")
        bytes_ = bytearray(open(f"{work}/{photometric}.tif", "rb").read())
        at = bytes_.index(b"\x06\x01\x03\x00\x01\x00\x00\x00")
        bytes_[at + 8:at + 10] = photometric.to_bytes(2, "little")
        open(f"{work}/{photometric}.tif", "wb").write(bytes_)
    for name, word in (("raw.tif", "thumbnail"), ("old.tif", "thumbnail"), ("32803.tif", "raw"), ("34892.tif", "raw")):
        found, said = vectors(f"{work}/{name}")
        expect(f"cut: {name}", found is None and name in said and word in said, said)
    small.save(f"{work}/small.png")
    alike("cut: the first of several pages", f"{work}/pages.tif", f"{work}/small.png", 0.9999)


def wide():
    """A picture that is not square is seen whole, and is one result."""
    folder = f"{work}/wide"
    for kind, aspect in (("png", 1.2), ("png", 1.4), ("jpg", 1.55), ("png", 2.0), ("jpg", 4.3), ("webp", 3.0), ("tif", 1.5), ("png", 0.3), ("png", 40.0)):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        side, is_high = (24 if aspect > 9 else 128), aspect < 1
        parts = [picture(side) for _ in range(max(1, round(max(aspect, 1 / aspect))) + 1)]
        size = (side, round(side / aspect)) if is_high else (round(side * aspect), side)
        whole = np.concatenate(parts, 0 if is_high else 1)[:size[1], :size[0]]
        Image.fromarray(whole).save(f"{folder}/wide.{kind}", **({"quality": 95} if kind == "jpg" else {"lossless": True} if kind == "webp" else {}))
        for i in range(12): Image.fromarray(picture(side)).save(f"{folder}/other{i}.png")
        ends = [whole[:side, :side], whole[-side:, -side:]]
        for i, end in enumerate(ends): Image.fromarray(end).save(f"{work}/end{i}.png")
        name, index = f"wide: {kind}, {aspect}", f"{work}/wide.index"
        shutil.rmtree(index, ignore_errors=True)
        run("index", index, folder, "--model", model)
        facts = dict(json.loads(run("info", index, "--json").stdout))
        is_windows = kind == "webp"
        expect(f"{name}: counted", facts["images"] == 13 or is_windows, facts["images"])
        for i in (0, 1):
            if aspect <= 1.6 and not is_high: break
            found = json.loads(run("search", index, "--image", f"{work}/end{i}.png", "--top", "13", "--json").stdout)["results"]
            paths = [r["path"] for r in found]
            expect(f"{name}: one result", len(paths) == len(set(paths)) == 13, paths)
            window = found[0].get("window")
            at = (0 if i == 0 else whole.shape[0 if is_high else 1] - side)
            expect(f"{name}: its end {i}", paths[0].endswith(f"wide.{kind}") and found[0]["score"] > 0.97 and abs(window[1 if is_high else 0] - at) <= 2,
                   (paths[0], found[0]["score"], window, at))
        if 1.25 < aspect <= 1.6:
            Image.fromarray(whole).resize((224, 224), Image.Resampling.BICUBIC).save(f"{work}/pressed.png")
            alike(f"{name}: pressed", f"{folder}/wide.{kind}", f"{work}/pressed.png", 0.97)
        if aspect <= 1.25 and not is_high:
            run("embed", model, "--image", f"{folder}/wide.{kind}", "-o", f"{work}/w.npy")
            x, _ = vectors(f"{folder}/wide.{kind}")
            expect(f"{name}: the middle", float(list(x.values())[0] @ np.load(f"{work}/w.npy")[0]) > 0.999, "")
        run("search", index, "--text", "shapes", "--top", "13", "--explain", f"{work}/why")
        for file in sorted(os.listdir(f"{work}/why")):
            if not file.endswith(".json"): continue
            said = json.load(open(f"{work}/why/{file}"))
            if not said["path"].endswith(f"wide.{kind}"): continue
            shown = Image.open(f"{work}/why/{file[:-5]}.png").size
            right = 1 if aspect <= 1.25 and not is_high else size[0] / size[1]
            expect(f"{name}: its heat", kind == "webp" or abs(shown[0] / shown[1] / right - 1) < 0.02, shown)


def bands():
    stack = np.stack([picture()[..., i % 3] for i in range(13)]).astype(np.uint16) * 30 + 200
    def seen(name, count, names, right, **more):
        path = f"{work}/{name}.tif"
        write(path, stack[:count], names=names, **more)
        x, said = vectors(path)
        if right is None: return expect(f"bands: {name} is refused", x is None and "--bands" in said, said)
        if x is None: return expect(f"bands: {name}", False, said)
        y, _ = vectors(path, "--bands", ",".join(map(str, right)))
        expect(f"bands: {name}", float(list(x.values())[0] @ list(y.values())[0]) > 0.999, "another picture than that of --bands")
    s2 = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"]
    seen("s2", 12, s2, (4, 3, 2))
    seen("sr-landsat8", 7, [f"SR_B{i}" for i in range(1, 8)], (4, 3, 2))
    seen("sr-landsat5", 6, [f"SR_B{i}" for i in (1, 2, 3, 4, 5, 7)], (3, 2, 1))
    seen("LT05_L1TP_193024_20050601", 7, [f"B{i}" for i in range(1, 8)], (3, 2, 1))
    seen("LE07_L1TP_193024_20050601", 8, None, (3, 2, 1), photometric="MINISBLACK")
    seen("LC08_L2SP_193024_20200601", 7, None, (4, 3, 2), photometric="MINISBLACK")
    seen("S2B_MSIL2A_20240601", 12, None, (4, 3, 2), photometric="MINISBLACK")
    seen("seven", 7, None, None, photometric="MINISBLACK")
    seen("eight", 8, None, None, photometric="MINISBLACK")
    seen("twelve", 12, None, None, photometric="MINISBLACK")
    seen("four", 4, None, None, photometric="MINISBLACK")
    seen("20230101_3B_AnalyticMS_SR_8b", 8, None, (6, 4, 2), photometric="MINISBLACK")
    seen("19MAR04_WV03", 8, None, (5, 3, 2), photometric="MINISBLACK")
    seen("superdove-names", 8, ["coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"], (6, 4, 2), photometric="MINISBLACK")
    seen("bgr", 3, ["blue", "green", "red"], (3, 2, 1), photometric="RGB")
    seen("nir-red-green", 3, ["nir", "red", "green"], None, photometric="RGB")
    seen("rgb-nir", 4, ["red", "green", "blue", "nir"], (1, 2, 3), photometric="RGB")
    seen("counted", 3, ["B1", "B2", "B3"], (1, 2, 3), photometric="RGB")


def ground():
    """Pixels that are not square on the ground, and footprints against pyproj and shapely."""
    side = 192
    shown = Image.fromarray(picture(side))
    shown.save(f"{work}/square.png")
    for latitude in (0, 45, 60, 75, -60):
        # The same ground in degrees: as many pixels down, and more across where meridians are near to each other.
        size = 57.6
        geod = pyproj.Geod(ellps="WGS84")
        east = geod.fwd(10, latitude, 90, size)[0] - 10
        north = geod.fwd(10, latitude, 0, size)[1] - latitude
        for across, down in ((side * 2, side), (side, side), (side, side * 2)):
            squeezed = np.array(shown.resize((across, down), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
            path = f"{work}/geo{latitude}-{across}-{down}.tif"
            write(path, squeezed, photometric="RGB", crs="EPSG:4326", transform=rasterio.transform.from_bounds(10, latitude, 10 + east, latitude + north, across, down))
            x, said = vectors(path, "--ground", "57.6")
            y, _ = vectors(f"{work}/square.png")
            least = min(float(v @ list(y.values())[0]) for v in x.values()) if x else 0
            expect(f"ground: {across} x {down} at {latitude}", least > 0.98, f"cosine {least:.3f} {said if x is None else ''}")
    for trial in range(24):
        epsg, lon, lat = random.choice([(32632, 9, 48), (3857, 20, -35), (4326, 179.99, -17), (3031, 0, -90), (3031, 60, -88), (3413, 30, 89.5), (3035, 10, 52),
                                        (32760, 179.9, -18), (2154, 3, 46), (4326, -60, 80)])
        to = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
        x, y = to.transform(lon, lat)
        step = 100 if epsg != 4326 else 0.001
        n = random.choice([230, 300])
        shift = 0 if lat == -90 else random.uniform(-0.3, 0.3)
        turn = rasterio.transform.Affine.rotation(random.choice([0, 0, 30, 77]))
        transform = rasterio.transform.Affine.translation(x + shift * n * step, y) * turn * rasterio.transform.Affine.scale(step, -step) \
            * rasterio.transform.Affine.translation(-n / 2, -n / 2)
        path = f"{work}/place{trial}.tif"
        write(path, np.stack([picture(n)[..., 0]] * 3), photometric="RGB", crs=f"EPSG:{epsg}", transform=transform)
        index = f"{work}/place{trial}.index"
        said = run("index", index, path, "--model", model, "--window", n)
        run("index", "export", index, f"{index}.out", "--format", "geojson")
        features = json.load(open(f"{index}.out/items.geojson"))["features"] if os.path.exists(f"{index}.out/items.geojson") else []
        if not features or not features[0]["geometry"]:
            expect(f"place: {epsg} {lon} {lat}", False, said.stderr or features)
            continue
        shape, gsd = shapely.geometry.shape(features[0]["geometry"]), features[0]["properties"].get("gsd")
        expect(f"place: {epsg} {lon} {lat} is valid", shape.is_valid and shape.bounds[0] >= -180 and shape.bounds[2] <= 180, shapely.is_valid_reason(shape))
        # Places of pixels, inside and outside by a tenth of the side, lie where PROJ says.
        back = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
        bad = 0
        for _ in range(60):
            u, v = rng.uniform(-0.2, 1.2, 2)
            near = min(abs(u), abs(1 - u), abs(v), abs(1 - v)) < 0.01
            if near: continue
            px, py = back.transform(*(transform * (u * n, v * n)))
            px = (px + 180) % 360 - 180
            if abs(py) > 90: continue
            bad += shape.contains(shapely.geometry.Point(px, py)) != (0 < u < 1 and 0 < v < 1)
        expect(f"place: {epsg} {lon} {lat} holds its pixels", bad == 0, f"{bad} pixels are not where PROJ puts them")
        geod = pyproj.Geod(ellps="WGS84")
        a, b = (back.transform(*(transform * (n / 2 + d, n / 2))) for d in (-20, 20))
        metres = geod.inv(*a, *b)[2] / 40
        c, d = (back.transform(*(transform * (n / 2, n / 2 + e))) for e in (-20, 20))
        metres = min(metres, geod.inv(*c, *d)[2] / 40)
        if gsd: expect(f"place: {epsg} {lon} {lat} ground of a pixel", abs(gsd / metres - 1) < 0.01, f"{gsd} for {metres}")


def times():
    os.makedirs(f"{work}/times")
    texts, instants = [], []
    for i in range(60):
        zone = random.choice([0, 0, 60, -90, 330, 720])
        moment = datetime.datetime(2021, random.randint(1, 12), random.randint(1, 28), random.randint(0, 23), random.randint(0, 59), random.randint(0, 59),
                                   random.choice([0, 0, 500000, 1]), datetime.timezone(datetime.timedelta(minutes=zone)))
        text = moment.isoformat()
        if zone == 0: text = random.choice([text, text.replace("+00:00", "Z"), text.replace("+00:00", "z").replace("T", "t")])
        if i % 10 == 9: (text, moment) = (moment.date().isoformat(), datetime.datetime.combine(moment.date(), datetime.time(), datetime.timezone.utc))
        texts.append(text)
        instants.append(moment)
        Image.fromarray(picture(32)).save(f"{work}/times/{i}.png")
    with open(f"{work}/times.jsonl", "w") as file:
        for i, text in enumerate(texts): file.write(json.dumps({"filename": f"{i}.png", "datetime": text, "big": 9007199254740990 + i, "mixed": i + 0.5 if i == 3 else i}) + "\n")
    index = f"{work}/times.index"
    run("index", index, f"{work}/times", "--model", model, "--attributes", f"{work}/times.jsonl")
    def found(condition):
        said = run("search", index, "--text", "x", "--top", "99", "--json", "--filter", condition)
        if said.returncode: return said.stderr
        return sorted(int(os.path.basename(r["path"])[:-4]) for r in json.loads(said.stdout)["results"])
    for i in random.sample(range(60), 12):
        whole = instants[i].astimezone(datetime.timezone(datetime.timedelta(hours=random.randint(-9, 9))))
        for sign, holds in {">=": lambda a, b: a >= b, ">": lambda a, b: a > b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, "=": lambda a, b: a == b}.items():
            right = [k for k, other in enumerate(instants) if holds(other, whole)]
            expect(f"times: {sign} {whole.isoformat()}", found(f"datetime {sign} '{whole.isoformat()}'") == right, found(f"datetime {sign} '{whole.isoformat()}'"))
    day = instants[9].date()
    right = [k for k, other in enumerate(instants) if other.astimezone(datetime.timezone.utc).date() == day]
    expect("times: a date is all of its day", found(f"datetime = '{day}'") == right, found(f"datetime = '{day}'"))
    right = [k for k, other in enumerate(instants) if other.astimezone(datetime.timezone.utc).date() <= day]
    expect("times: up to a date", found(f"datetime <= '{day}'") == right)
    expect("times: the 31st of February is named", "2021-02-31" in str(found("datetime > '2021-02-31'")))
    expect("numbers: whole ones are whole", found("big = 9007199254740993") == [3] and found("big > 9007199254740992 and big < 9007199254740995") == [3, 4])
    said = run("search", index, "--text", "x", "--filter", "datetim > 3")
    expect("filters: an attribute that nothing has", said.returncode == 2 and "datetime" in said.stderr, said.stderr)
    said = run("search", index, "--text", "x", "--json", "--filter", "big < 3")
    expect("filters: nothing fits", said.returncode == 0 and json.loads(said.stdout)["results"] == [], said.stderr)
    run("index", "export", index, f"{work}/times.out", "--format", "parquet")
    table = pyarrow.parquet.read_table(f"{work}/times.out/items.parquet")
    expect("numbers: parquet", sorted(table["big"].to_pylist()) == [9007199254740990 + i for i in range(60)] and str(table.schema.field("big").type) == "int64"
           and str(table.schema.field("mixed").type) == "double", table.schema)


def texts():
    """open_clip's texts are repaired as open_clip repairs them."""
    made = f"{work}/clip.ftf"
    said = run("convert", f"{goldens}/open_clip", "--tokenizer", f"{goldens}/clip", "-o", made, "--precision", "fp32")
    expect("texts: the model", said.returncode == 0, said.stderr)
    pieces = ["Farmer\u2019s", "\u201cfield\u201d", "cats &amp; dogs", "&amp;amp;", "&lt;b&gt;", "a <b> &amp;", "\ufb01eld", "\uff21\uff22\uff43", "\u3000", "&#39;s", "&#x2019;",
              "&eacute;t&Eacute;", "caf\u00e9", "cafe\u0301", "\x1b[31mred\x1b[0m", "tab\there", "line\r\nend", "\u2028", "&nbsp;", "&notit;", "&copy 2020", "R&D", "AT&T;", "\u0132", "\x85",
              "&#0;", "&#150;", "&#xD800;", "&unknown;", "\ufeff", "x\u0007y", "river"]
    lines = [" ".join(random.choices(pieces, k=random.randint(1, 4))) for _ in range(80)]
    def repaired(line): return html.unescape(html.unescape(ftfy.fix_text(line)))
    # What is repaired is given again: it has to stay what it is.
    lines = [line for line in lines if line.strip() and repaired(repaired(line)) == repaired(line)]
    out = []
    for name, list_ in (("raw", lines), ("clean", list(map(repaired, lines)))):
        path = f"{work}/{name}.npy"
        said = run("embed", made, *[word for line in list_ for word in ("--text", line if line.strip() else " ")], "-o", path)
        if said.returncode: return expect("texts: embedded", False, said.stderr)
        out.append(np.load(path))
    cosines = (out[0] * out[1]).sum(1)
    expect("texts: as ftfy and html.unescape", cosines.min() > 0.99999, repr(lines[int(cosines.argmin())]))


def unread():
    """A tensor or a key that nobody reads is named."""
    for source, tensor in (("open_clip", "visual.transformer.resblocks.0.ls_1.gamma"), ("open_clip", "transformer.resblocks.0.attn.q_norm.weight"),
                           ("clip", "vision_model.encoder.layers.0.self_attn.q_proj.lora_A.weight"), ("dual-vit", "vision_model.embeddings.mask_token2")):
        folder = f"{work}/unread"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(f"{goldens}/{source}", folder)
        file = f"{folder}/" + ("open_clip_model.safetensors" if source == "open_clip" else "model.safetensors")
        tensors = safetensors.numpy.load_file(file)
        safetensors.numpy.save_file({**tensors, tensor: np.ones(4, np.float32), "optimizer.state": np.ones(2, np.float32)}, file)
        options = ("--tokenizer", f"{goldens}/clip") if source == "open_clip" else ()
        said = run("convert", folder, "-o", f"{work}/u.ftf", "--precision", "fp32", *options)
        expect(f"unread: {tensor}", said.returncode == 1 and tensor in said.stderr, said.stderr)
        said = run("convert", folder, "-o", f"{work}/u.ftf", "--precision", "fp32", *options, "--ignore", tensor)
        expect(f"unread: {tensor}, ignored", said.returncode == 0 and "ignored" in said.stderr, said.stderr)
    def config(part, key, value, word, source="clip"):
        folder = f"{work}/unread"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(f"{goldens}/{source}", folder)
        fields = json.load(open(f"{folder}/config.json"))
        (fields[part] if part else fields)[key] = value
        json.dump(fields, open(f"{folder}/config.json", "w"))
        said = run("convert", folder, "-o", f"{work}/u.ftf", "--precision", "fp32")
        expect(f"unread: {part}.{key}", (said.returncode == 1 and key in said.stderr) == (word is not None), said.stderr)
    config("text_config", "is_decoder", True, "")
    config("text_config", "eos_token_id", 3, "")
    config("text_config", "eos_token_id", 2, None)
    config("vision_config", "use_rotary", True, "")
    config("vision_config", "use_rotary", False, None)
    config("vision_config", "pooler_act", "relu", "", "dual-vit")
    config("", "text_config_dict", {"hidden_act": "relu"}, "")
    shutil.rmtree(f"{work}/unread")
    shutil.copytree(f"{goldens}/clip", f"{work}/unread")
    json.dump({"peft_type": "LORA"}, open(f"{work}/unread/adapter_config.json", "w"))
    said = run("convert", f"{work}/unread", "-o", f"{work}/u.ftf", "--precision", "fp32")
    expect("unread: an adapter beside", said.returncode == 1 and "adapter_config.json" in said.stderr, said.stderr)
    os.remove(f"{work}/unread/adapter_config.json")
    for name, fields, right in (("number, plain", {"feature_extractor_type": "ViTFeatureExtractor", "size": 56, "resample": 2}, "squashed"),
                                ("number, later", {"image_processor_type": "ViTImageProcessor", "size": 56}, "squashed"),
                                ("number, CLIP's", {"image_processor_type": "CLIPImageProcessor", "size": 56, "crop_size": 56}, "cropped"),
                                ("unknown", {"image_processor_type": "BlipImageProcessor", "size": 56}, None)):
        json.dump(fields, open(f"{work}/unread/preprocessor_config.json", "w"))
        said = run("convert", f"{work}/unread", "-o", f"{work}/p.ftf", "--precision", "fp32")
        if right is None:
            expect(f"prepared: {name}", said.returncode == 1 and "BlipImageProcessor" in said.stderr, said.stderr)
            continue
        wide = Image.fromarray(picture(112)).resize((112, 56), Image.Resampling.BILINEAR)
        wide.save(f"{work}/wide.png")
        prepared = wide.resize((56, 56), Image.Resampling.BILINEAR) if right == "squashed" else wide.crop((28, 0, 84, 56))
        prepared.save(f"{work}/prepared.png")
        run("embed", f"{work}/p.ftf", "--image", f"{work}/wide.png", f"{work}/prepared.png", "-o", f"{work}/p.npy")
        v = np.load(f"{work}/p.npy")
        expect(f"prepared: {name}", float(v[0] @ v[1]) > 0.9999, float(v[0] @ v[1]))


for part in (values, turns, cut, wide, bands, ground, times, texts, unread):
    if not sys.argv[5:] or part.__name__ in sys.argv[5:]: part()
print(f"{tried} tried, {len(wrong)} wrong")
sys.exit(1 if wrong else 0)
