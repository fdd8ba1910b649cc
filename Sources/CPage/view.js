// One result, large: its picture down to the file's own pixels, where the words were found, and all that is known of it.
const $ = id => document.getElementById(id);

export class LargeView {
  // service: address(path), fetched(path) -> blob, heat(id) -> path or null, act(name, result), moved(id or null).
  constructor(service) {
    Object.assign(this, {service, results: [], place: -1, showsHeat: false, zoom: 1, x: 0, y: 0, pointers: new Map(), turn: 0});
    this.dialog = $('large');
    $('shut').addEventListener('click', () => this.close());
    $('before').addEventListener('click', () => this.step(-1));
    $('after').addEventListener('click', () => this.step(1));
    this.dialog.addEventListener('cancel', event => { event.preventDefault(); this.close(); });
    this.dialog.addEventListener('keydown', event => this.key(event));
    const stage = $('stage');
    stage.addEventListener('wheel', event => { event.preventDefault(); this.grow(Math.exp(-event.deltaY / 250), [event.offsetX, event.offsetY]); }, {passive: false});
    stage.addEventListener('dblclick', event => this.grow(this.zoom > this.fit * 1.05 ? this.fit / this.zoom : Math.max(2, 1 / this.zoom), [event.offsetX, event.offsetY]));
    stage.addEventListener('pointerdown', event => { stage.setPointerCapture(event.pointerId); this.pointers.set(event.pointerId, [event.clientX, event.clientY]); });
    stage.addEventListener('pointermove', event => this.drag(event));
    for (const end of ['pointerup', 'pointercancel']) stage.addEventListener(end, event => this.pointers.delete(event.pointerId));
    new ResizeObserver(() => { if (this.dialog.open) this.all(); }).observe(stage);
  }

  get result() { return this.results[this.place]; }
  get isOpen() { return this.dialog.open; }

  open(results, id) {
    this.results = results;
    this.place = results.findIndex(result => result.id === id);
    if (this.place < 0) return false;
    this.opener = document.activeElement;
    if (!this.dialog.open) this.dialog.showModal();
    this.load();
    return true;
  }

  // Quietly where the address says it already.
  close(isTold = true) {
    if (!this.dialog.open) return;
    this.dialog.close();
    this.turn++;
    if (this.opener && this.opener.isConnected) this.opener.focus();
    if (isTold) this.service.moved(null);
  }

  step(by) {
    const place = this.place + by;
    if (place < 0 || place >= this.results.length) return;
    this.place = place;
    this.load();
    this.service.moved(this.result.id);
  }

  key(event) {
    if (event.target.tagName === 'INPUT') return;
    const step = {ArrowLeft: -1, ArrowRight: 1, PageUp: -1, PageDown: 1}[event.key];
    if (step) this.step(step);
    else if (event.key === '+' || event.key === '=') this.grow(1.5);
    else if (event.key === '-') this.grow(1 / 1.5);
    else if (event.key === '0') this.all();
    else if (event.key === 'h' || event.key === 'H') this.heat(!this.showsHeat);
    else if ((event.key === 's' || event.key === 'S') && this.result.window) this.scene();
    else return;
    event.preventDefault();
  }

  async load() {
    const result = this.result, mine = ++this.turn, image = $('view');
    const name = result.path.split('/').pop();
    $('title').textContent = name;
    $('before').disabled = this.place === 0;
    $('after').disabled = this.place === this.results.length - 1;
    $('overlay').hidden = true;
    this.tell(result);
    image.alt = name;
    this.known = null;
    await this.put(image, `v1/images/${result.id}/thumbnail?size=1024`);
    if (mine !== this.turn) return;
    // The pixels of what is shown: of the window, or of the file once it has come.
    const [width, height] = result.window ? result.window.slice(2) : result.extent || [image.naturalWidth, image.naturalHeight];
    this.known = {width: width || 1, height: height || 1, shown: [image.naturalWidth || 1, image.naturalHeight || 1], own: false};
    this.all();
    if (this.showsHeat) this.heat(true);
  }

  // The last one that was asked for stays, in whatever order they come.
  async put(image, path) {
    const mine = image.asked = (image.asked || 0) + 1;
    try {
      const blob = await this.service.fetched(path);
      if (image.asked !== mine) return;
      if (image.dataset.blob) URL.revokeObjectURL(image.dataset.blob);
      image.dataset.blob = image.src = URL.createObjectURL(blob);
      await image.decode();
    } catch (error) {
      if (image.asked !== mine) return;
      image.removeAttribute('src');
      $('about').textContent = error.message;
    }
  }

  tell(result) {
    const facts = [], add = (name, value) => { if (value !== undefined && value !== null && value !== '') facts.push([name, value]); };
    add('Rank', result.rank > 0 ? result.rank : '');
    add('Place', result.centre ? `${result.centre[1].toFixed(5)}, ${result.centre[0].toFixed(5)}` : '');
    add('Time', result.datetime);
    if (result.probability >= 0.01) add('Likely to show it', Math.round(100 * result.probability) + ' %');
    if (result.score) add('Score', result.score.toFixed(3));
    add('Bands', result.bands && 'red, green and blue ' + result.bands);
    if (result.window) add('Window', `${result.window[2]} × ${result.window[3]} pixels at ${result.window[0]}, ${result.window[1]}`);
    add('File', result.path);
    for (const [name, value] of Object.entries(result.attributes || {})) {
      if (name !== 'datetime') add(name, typeof value === 'object' ? JSON.stringify(value) : String(value));
    }
    $('about').textContent = '';
    $('facts').replaceChildren(...facts.flatMap(([name, value]) => ['dt', 'dd'].map((tag, i) =>
      Object.assign(document.createElement(tag), {textContent: i ? value : name, dir: 'auto'}))));
    const act = (text, done) => { const made = Object.assign(document.createElement('button'), {type: 'button', textContent: text}); made.addEventListener('click', done); return made; };
    const heat = this.service.heat(result.id), acts = [];
    if (heat) {
      const button = act('Heat', () => this.heat(!this.showsHeat));
      button.id = 'heatview';
      button.setAttribute('aria-pressed', String(this.showsHeat));
      acts.push(button);
    }
    if (result.window) acts.push(act('Whole scene', () => this.scene()));
    acts.push(act('Own pixels', () => this.grow(1 / this.zoom)), act('Like this', () => this.service.act('like', result)), act('Not this', () => this.service.act('unlike', result)));
    acts.push(act('Copy path', () => this.copy(result.path)), act('Copy link', () => this.copy(location.href)), act('Original', () => this.service.act('original', result)));
    $('viewacts').replaceChildren(...acts);
  }

  async copy(text) {
    try { await navigator.clipboard.writeText(text); $('about').textContent = 'Copied.'; } catch { $('about').textContent = text; }
  }

  async heat(isShown) {
    this.showsHeat = isShown;
    const button = $('heatview'), path = this.service.heat(this.result.id), mine = this.turn, overlay = $('overlay');
    if (button) button.setAttribute('aria-pressed', String(isShown));
    if (!isShown || !path) { overlay.hidden = true; return; }
    await this.put(overlay, path);
    if (mine !== this.turn || !this.showsHeat) return;
    overlay.hidden = false;
    this.lay();
  }

  all() {
    if (!this.known) return;
    const stage = $('stage');
    this.fit = Math.min(stage.clientWidth / this.known.width, stage.clientHeight / this.known.height);
    this.show(0, 0, this.known.width, this.known.height);
  }

  // The scene that a window is of, as the model was shown it: whether its bands are the right ones is seen at once.
  scene() {
    const {window, extent} = this.result;
    if (this.known && window) this.show(-window[0], -window[1], ...extent);
  }

  // A rectangle in the pixels of what is known, as large as fits.
  show(left, top, width, height) {
    const stage = $('stage');
    this.zoom = Math.min(stage.clientWidth / width, stage.clientHeight / height);
    this.x = (stage.clientWidth - width * this.zoom) / 2 - left * this.zoom;
    this.y = (stage.clientHeight - height * this.zoom) / 2 - top * this.zoom;
    this.lay();
  }

  grow(by, at) {
    if (!this.known) return;
    const stage = $('stage'), [x, y] = at || [stage.clientWidth / 2, stage.clientHeight / 2];
    // As far as the window, or the whole scene that it is of, at half the stage.
    const {extent} = this.result, least = Math.min(this.fit, ...(extent ? [stage.clientWidth / extent[0], stage.clientHeight / extent[1]] : [])) / 2;
    const zoom = Math.min(Math.max(16, this.fit * 4), Math.max(least, this.zoom * by)), grown = zoom / this.zoom;
    Object.assign(this, {zoom, x: x - (x - this.x) * grown, y: y - (y - this.y) * grown});
    this.lay();
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId), now = [event.clientX, event.clientY];
    if (!before) return;
    if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1], box = $('stage').getBoundingClientRect();
      const grown = Math.hypot(now[0] - other[0], now[1] - other[1]) / Math.max(1, Math.hypot(before[0] - other[0], before[1] - other[1]));
      this.grow(grown, [(now[0] + other[0]) / 2 - box.left, (now[1] + other[1]) / 2 - box.top]);
    } else { this.x += now[0] - before[0]; this.y += now[1] - before[1]; this.lay(); }
    this.pointers.set(event.pointerId, now);
  }

  lay() {
    const {known, zoom, x, y} = this, image = $('view'), overlay = $('overlay');
    const [sx, sy] = [known.width * zoom / known.shown[0], known.height * zoom / known.shown[1]];
    if (known.part) {
      const [left, top, width, height] = known.part;
      image.style.transform = `translate(${x + left * zoom}px,${y + top * zoom}px) scale(${width * zoom / known.shown[0]},${height * zoom / known.shown[1]})`;
    } else image.style.transform = `translate(${x}px,${y}px) scale(${sx},${sy})`;
    image.classList.toggle('close', zoom > 2);
    // What the model saw of a picture that is nearly square is its middle.
    const side = Math.min(known.width, known.height), isWide = Math.max(known.width, known.height) > 1.25 * side;
    const [w, h] = isWide ? [known.width, known.height] : [side, side];
    // Where the window lies, once more than it is shown.
    const frame = $('frame');
    frame.hidden = !this.result.window || zoom > this.fit * 0.95;
    Object.assign(frame.style, {left: x + 'px', top: y + 'px', width: known.width * zoom + 'px', height: known.height * zoom + 'px'});
    overlay.style.transform = `translate(${x + (known.width - w) / 2 * zoom}px,${y + (known.height - h) / 2 * zoom}px) scale(${w * zoom / (overlay.naturalWidth || 1)},${h * zoom / (overlay.naturalHeight || 1)})`;
    clearTimeout(this.later);
    // Where the thumbnail has not all pixels that fit on the screen, those of the file are asked for.
    if (sx > 1.2 || known.part || !frame.hidden) this.later = setTimeout(() => this.sharpen(), 250);
  }

  async sharpen() {
    const {result, known, turn} = this, stage = $('stage');
    if (!known || !this.dialog.open) return;
    // A picture's own size is only known to the file: it comes with all its pixels.
    if (!result.extent) {
      if (known.own) return;
      known.own = true;
      try {
        const own = new Image();
        own.src = URL.createObjectURL(await this.service.fetched(`v1/images/${result.id}/original`));
        await own.decode();
        if (turn !== this.turn || own.naturalWidth <= known.shown[0]) return;
        const ratio = own.naturalWidth / known.width;
        Object.assign(known, {width: own.naturalWidth, height: own.naturalHeight, shown: [own.naturalWidth, own.naturalHeight]});
        Object.assign(this, {zoom: this.zoom / ratio, fit: this.fit / ratio});
        $('view').src = own.src;
        this.lay();
      } catch { /* A kind that browsers do not show: the thumbnail stays. */ }
      return;
    }
    const origin = result.window || [0, 0, ...result.extent];
    const left = Math.floor(-this.x / this.zoom), top = Math.floor(-this.y / this.zoom);
    const part = [left, top, Math.ceil(stage.clientWidth / this.zoom), Math.ceil(stage.clientHeight / this.zoom)];
    const seen = [Math.max(0, origin[0] + part[0]), Math.max(0, origin[1] + part[1])];
    const end = [Math.min(result.extent[0], origin[0] + part[0] + part[2]), Math.min(result.extent[1], origin[1] + part[1] + part[3])];
    const size = Math.min(2048, Math.max(256, Math.round(Math.max(stage.clientWidth, stage.clientHeight))));
    const path = `v1/images/${result.id}/view?x=${seen[0]}&y=${seen[1]}&width=${end[0] - seen[0]}&height=${end[1] - seen[1]}&size=${size}`;
    if (end[0] <= seen[0] || end[1] <= seen[1] || known.path === path) return;
    known.path = path;
    try {
      const own = new Image();
      own.src = URL.createObjectURL(await this.service.fetched(path));
      await own.decode();
      if (turn !== this.turn || known.path !== path) return;
      Object.assign(known, {part: [seen[0] - origin[0], seen[1] - origin[1], end[0] - seen[0], end[1] - seen[1]], shown: [own.naturalWidth, own.naturalHeight]});
      $('view').src = own.src;
      this.lay();
    } catch (error) { $('about').textContent = error.message; }
  }
}
