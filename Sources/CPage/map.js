// The map of the results, in Mercator's projection, which tiles are drawn for: coasts, or tiles where they are configured; marks that can be hit, joined
// to the cards; a box to search in.
import {coasts} from './coast.js';

const mercator = lat => Math.log(Math.tan(Math.PI / 4 + Math.max(-85.05, Math.min(85.05, lat)) * Math.PI / 360)) * 180 / Math.PI;
const latitude = y => Math.atan(Math.exp(y * Math.PI / 180)) * 360 / Math.PI - 90;
const closest = 2 ** 22;
const reach = 14;

export class ResultsMap {
  // told: mark(id or null), open(id), box([west, south, east, north]).
  constructor(canvas, told) {
    Object.assign(this, {canvas, told, tiles: '', results: [], box: null, marked: null, view: null, boxing: false, loaded: new Map(), pointers: new Map()});
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener('wheel', event => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), [event.offsetX, event.offsetY]);
    }, {passive: false});
    canvas.addEventListener('pointerdown', event => this.press(event));
    canvas.addEventListener('pointermove', event => this.drag(event));
    for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, event => this.release(event));
    canvas.addEventListener('pointerleave', () => { if (!this.pointers.size) this.mark(null); });
    canvas.addEventListener('keydown', event => this.key(event));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  show(results, box) {
    const places = results.flatMap(result => {
      const rings = !result.geometry ? [] : result.geometry.type === 'Polygon' ? [result.geometry.coordinates[0]] :
        result.geometry.type === 'MultiPolygon' ? result.geometry.coordinates.map(part => part[0]) : [];
      const lon = result.attributes && result.attributes.lon, lat = result.attributes && result.attributes.lat;
      const centre = result.centre || (Number.isFinite(lon) && Number.isFinite(lat) && Math.abs(lon) <= 180 && Math.abs(lat) <= 90 ? [lon, lat] : null);
      return centre ? [{id: result.id, rank: result.rank, rings, centre}] : [];
    });
    const isSame = places.length === this.results.length && places.every((place, i) => place.id === this.results[i].id);
    Object.assign(this, {results: places, box});
    if (!isSame || !this.view) this.fit();
    this.draw();
    return places.length > 0;
  }

  fit() {
    const points = [...this.results.flatMap(place => [place.centre, ...place.rings.flat()]), ...(this.box ? [[this.box[0], this.box[1]], [this.box[2], this.box[3]]] : [])];
    if (!points.length) { this.view = null; return; }
    const xs = points.map(p => p[0]), ys = points.map(p => mercator(p[1]));
    const [west, east, south, north] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const [width, height] = [this.canvas.clientWidth || 600, this.canvas.clientHeight || 260];
    const scale = Math.min((width - 60) / Math.max(east - west, 0.01), (height - 50) / Math.max(north - south, 0.01));
    this.view = {x: (west + east) / 2, y: (south + north) / 2, scale};
  }

  zoom(by, at) {
    if (!this.view) return;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight], [x, y] = at || [width / 2, height / 2];
    const scale = Math.min(closest, Math.max(0.5, this.view.scale * by)), old = this.view.scale;
    this.view = {x: this.view.x + (x - width / 2) * (1 / old - 1 / scale), y: this.view.y - (y - height / 2) * (1 / old - 1 / scale), scale};
    this.draw();
  }

  place([x, y]) { return [this.view.x + (x - this.canvas.clientWidth / 2) / this.view.scale, latitude(this.view.y - (y - this.canvas.clientHeight / 2) / this.view.scale)]; }
  point([lon, lat]) {
    return [this.canvas.clientWidth / 2 + (lon - this.view.x) * this.view.scale, this.canvas.clientHeight / 2 - (mercator(lat) - this.view.y) * this.view.scale];
  }

  // Which mark lies under a point: of several the nearest, of those on one spot the best.
  under([x, y]) {
    let best = null, least = reach ** 2;
    for (const place of this.results) {
      const [px, py] = this.point(place.centre), distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) { least = distance; best = place; }
    }
    return best;
  }

  mark(id) {
    if (this.marked === id) return;
    this.marked = id;
    this.told.mark(id);
    this.draw();
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    const at = [event.offsetX, event.offsetY];
    this.pointers.set(event.pointerId, at);
    this.start = {at, moved: false};
    if (this.boxing || event.shiftKey) this.corner = this.place(at);
  }

  drag(event) {
    const at = [event.offsetX, event.offsetY], before = this.pointers.get(event.pointerId);
    if (!before) { if (this.view) { const found = this.under(at); this.mark(found ? found.id : null); } return; }
    if (Math.hypot(at[0] - this.start.at[0], at[1] - this.start.at[1]) > 4) this.start.moved = true;
    if (this.corner) {
      const other = this.place(at);
      this.drawn = [Math.min(this.corner[0], other[0]), Math.min(this.corner[1], other[1]), Math.max(this.corner[0], other[0]), Math.max(this.corner[1], other[1])];
      this.draw();
    } else if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const grown = Math.hypot(at[0] - other[0], at[1] - other[1]) / Math.max(1, Math.hypot(before[0] - other[0], before[1] - other[1]));
      this.zoom(grown, [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2]);
    } else if (this.view) {
      this.view.x -= (at[0] - before[0]) / this.view.scale;
      this.view.y += (at[1] - before[1]) / this.view.scale;
      this.draw();
    }
    this.pointers.set(event.pointerId, at);
  }

  release(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.corner) {
      const box = this.drawn, isBox = this.start.moved && box;
      this.corner = this.drawn = null;
      if (isBox) this.told.box([Math.max(-180, box[0]), Math.max(-90, box[1]), Math.min(180, box[2]), Math.min(90, box[3])].map(n => Number(n.toFixed(6))));
      this.draw();
    } else if (!this.start.moved && this.view) {
      const found = this.under([event.offsetX, event.offsetY]);
      if (found) this.told.open(found.id);
    }
  }

  key(event) {
    if (!this.view) return;
    const step = {ArrowLeft: [-40, 0], ArrowRight: [40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40]}[event.key];
    if (step) { this.view.x += step[0] / this.view.scale; this.view.y += step[1] / this.view.scale; this.draw(); }
    else if (event.key === '+' || event.key === '=') this.zoom(1.5);
    else if (event.key === '-') this.zoom(1 / 1.5);
    else if (event.key === '0') { this.fit(); this.draw(); }
    else if (event.key === 'Enter' && this.marked !== null) this.told.open(this.marked);
    else return;
    event.preventDefault();
  }

  draw() {
    const canvas = this.canvas, ratio = Math.min(2, devicePixelRatio || 1), [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !this.view) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    }
    const context = canvas.getContext('2d'), style = getComputedStyle(document.body), color = name => style.getPropertyValue(name);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = color('--sea');
    context.fillRect(0, 0, width, height);
    const trace = ring => {
      context.beginPath();
      ring.forEach((p, i) => i ? context.lineTo(...this.point(p)) : context.moveTo(...this.point(p)));
      context.closePath();
    };
    if (this.tiles) this.lay(context, width, height); else {
      context.lineWidth = 1;
      for (const coast of coasts) for (const turn of [-360, 0, 360]) {
        trace(coast.flatMap((lon, i) => i % 2 ? [] : [[lon + turn, coast[i + 1]]]));
        context.fillStyle = color('--land'); context.fill();
        context.strokeStyle = color('--line'); context.stroke();
      }
    }
    this.grid(context, width, height, color);
    for (const place of this.results) for (const ring of place.rings) {
      trace(ring);
      context.strokeStyle = color('--card'); context.lineWidth = 4; context.stroke();
      context.strokeStyle = color('--accent'); context.lineWidth = 2; context.stroke();
    }
    // The best above the others.
    for (const place of [...this.results].reverse()) this.pin(context, place, color);
    const marked = this.results.find(place => place.id === this.marked);
    if (marked) this.pin(context, marked, color);
    for (const box of [this.box, this.drawn]) if (box) {
      const [left, top] = this.point([box[0], box[3]]), [right, bottom] = this.point([box[2], box[1]]);
      context.setLineDash([6, 4]); context.strokeStyle = color('--ink'); context.lineWidth = 2;
      context.strokeRect(left, top, right - left, bottom - top); context.setLineDash([]);
    }
  }

  pin(context, place, color) {
    const [x, y] = this.point(place.centre), isMarked = place.id === this.marked;
    context.beginPath(); context.arc(x, y, isMarked ? 11 : 8, 0, 2 * Math.PI);
    context.fillStyle = color(isMarked ? '--ink' : '--accent'); context.fill();
    context.strokeStyle = color('--card'); context.lineWidth = 2; context.stroke();
    if (place.rank > 99) return;
    context.fillStyle = color(isMarked ? '--card' : '--on'); context.font = '600 9px system-ui'; context.textAlign = 'center'; context.textBaseline = 'middle';
    context.fillText(place.rank, x, y + 0.5);
    context.textAlign = 'start'; context.textBaseline = 'alphabetic';
  }

  // Lines at least ninety pixels apart, on 1, 2 or 5.
  grid(context, width, height, color) {
    const least = 90 / this.view.scale, power = 10 ** Math.floor(Math.log10(least)), step = [1, 2, 5, 10].map(n => n * power).find(n => n >= least);
    const digits = Math.max(0, -Math.floor(Math.log10(step))), [west, north] = this.place([0, 0]), [east, south] = this.place([width, height]);
    context.font = '11px system-ui';
    const line = (from, to) => { context.strokeStyle = color('--line'); context.lineWidth = 0.7; context.beginPath(); context.moveTo(...from); context.lineTo(...to); context.stroke(); };
    const label = (text, x, y) => { context.strokeStyle = color('--sea'); context.lineWidth = 3; context.strokeText(text, x, y); context.fillStyle = color('--soft'); context.fillText(text, x, y); };
    for (let lon = Math.ceil(west / step) * step; lon < east; lon += step) {
      const x = this.point([lon, 0])[0];
      line([x, 0], [x, height]); label(lon.toFixed(digits), x + 3, height - 5);
    }
    for (let lat = Math.ceil(south / step) * step; lat < north; lat += step) {
      const y = this.point([0, lat])[1];
      line([0, y], [width, y]); label(lat.toFixed(digits), 4, y - 3);
    }
  }

  // Tiles of an outside service: those in view, each loaded once.
  lay(context, width, height) {
    const {x: middle, y: centre, scale} = this.view, zoom = Math.max(0, Math.min(19, Math.round(Math.log2(360 * scale / 256)))), count = 2 ** zoom, side = 360 / count;
    const [across, down] = [width / 2 / scale, height / 2 / scale];
    const first = Math.floor((middle - across + 180) / side), beyond = Math.ceil((middle + across + 180) / side);
    const [top, bottom] = [Math.max(0, Math.floor((180 - centre - down) / side)), Math.min(count, Math.ceil((180 - centre + down) / side))];
    for (let x = first; x < beyond; x++) for (let y = top; y < bottom; y++) {
      const address = this.tiles.replace('{z}', zoom).replace('{x}', ((x % count) + count) % count).replace('{y}', y);
      let image = this.loaded.get(address);
      if (!image) {
        image = Object.assign(document.createElement('img'), {referrerPolicy: 'origin'});
        this.loaded.set(address, image);
        if (this.loaded.size > 400) this.loaded.delete(this.loaded.keys().next().value);
        image.addEventListener('load', () => this.draw());
        image.src = address;
      }
      if (!image.complete || !image.naturalWidth) continue;
      context.drawImage(image, width / 2 + (x * side - 180 - middle) * scale, height / 2 - (180 - y * side - centre) * scale, side * scale + 0.5, side * scale + 0.5);
    }
  }
}
