'use strict';
const $ = id => document.getElementById(id);
let token = sessionStorage.getItem('token') || '', run = 0, last = null, picture = null, like = null, part = '', most = 24, unlike = [], archive = '', tiles = '';
const picked = new Set();

const wait = seconds => new Promise(done => setTimeout(done, 1000 * seconds));

async function call(path, options = {}, tries = 4) {
  const headers = Object.assign({}, options.headers);
  if (token) headers.Authorization = 'Bearer ' + token;
  const response = await fetch(path, Object.assign({}, options, {headers}));
  // Busy: not all who are sent away come back at once.
  if (response.status === 429 && tries) { await wait(0.2 + Math.random()); return call(path, options, tries - 1); }
  if (response.status === 401) {
    const given = prompt('This service asks for a token.');
    if (given) { token = given; sessionStorage.setItem('token', given); return call(path, options); }
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Error(problem.detail || response.statusText);
  }
  return response;
}
const post = (path, body) => call(path, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)}).then(r => r.json());

// The address in the index that is chosen, where there is a choice.
const at = path => archive ? path + (path.includes('?') ? '&' : '?') + 'index=' + encodeURIComponent(archive) : path;

// Without a token pictures load by themselves; with one they are fetched, since an image cannot show it.
async function show(image, path) {
  if (!token) { image.src = path; return; }
  try { image.src = URL.createObjectURL(await (await call(path)).blob()); } catch { image.alt = 'not available'; }
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function say(text, bad) { $('status').textContent = text; $('status').classList.toggle('bad', !!bad); }

function card(result, words) {
  const image = element('img', {alt: 'result ' + result.rank, loading: 'lazy'});
  show(image, at(`/v1/images/${result.id}/thumbnail`));
  const box = element('div', {className: 'picture'}, image, element('b', {className: 'rank', textContent: result.rank}));
  if (words) box.addEventListener('pointerenter', () => heat(box, result.id, words));
  box.heat = words ? () => heat(box, result.id, words) : null;
  const name = result.path.split('/').pop();
  let numbers = 'score ' + result.score.toFixed(3);
  if (result.probability !== undefined) numbers += ' · ' + (100 * result.probability).toFixed(0) + ' % likely meant';
  let where = '';
  if (result.centre) where = result.centre[1].toFixed(4) + ', ' + result.centre[0].toFixed(4);
  if (result.datetime) where += ' · ' + result.datetime.slice(0, 10);
  const more = element('button', {type: 'button', textContent: 'Like this', title: 'More like this'});
  more.addEventListener('click', () => { like = result.id; picture = null; unlike = []; $('words').value = ''; search(); });
  const less = element('button', {type: 'button', textContent: 'Not this', title: 'Nothing like this'});
  less.addEventListener('click', () => { unlike.push(result.id); search(); });
  const open = element('button', {type: 'button', textContent: 'Open'});
  open.addEventListener('click', async () => {
    const large = await call(at(`/v1/images/${result.id}/thumbnail?size=1024`));
    window.open(URL.createObjectURL(await large.blob()), '_blank', 'noopener');
  });
  const caption = element('figcaption', {}, element('span', {className: 'name', dir: 'auto', textContent: name, title: result.path}),
    element('span', {className: 'numbers', textContent: numbers}), element('span', {className: 'numbers', textContent: where}),
    element('div', {className: 'acts'}, more, less, open));
  const pick = element('input', {type: 'checkbox', className: 'pick', checked: picked.has(result.id)});
  pick.setAttribute('aria-label', 'Select result ' + result.rank);
  pick.addEventListener('change', () => {
    if (pick.checked) picked.add(result.id); else picked.delete(result.id);
    count();
  });
  box.append(pick);
  const item = element('li', {}, element('figure', {}, box, caption));
  item.dataset.id = result.id;
  return item;
}

// Of the sentence, or of the word of it that is pointed at.
function heat(box, id, words) {
  const asked = 'q=' + encodeURIComponent(words) + (part ? '&word=' + encodeURIComponent(part) : ''), known = box.querySelector('.heat');
  if (known && known.dataset.words === asked) return;
  const image = known || element('img', {className: 'heat', alt: ''});
  image.dataset.words = asked;
  show(image, at(`/v1/images/${id}/heatmap?${asked}`));
  if (!known) box.append(image);
}

function heatAll() { for (const box of document.querySelectorAll('.picture')) if (box.heat) box.heat(); }

const small = new Set('a an and at by for in is it its near next of on or over some the there to under very with'.split(' '));

function showParts(words) {
  part = '';
  const list = [...new Set(words.split(/[^\p{L}\p{N}'-]+/u).filter(word => word && !small.has(word.toLowerCase())))];
  $('parts').hidden = list.length < 2;
  $('parts').replaceChildren(...list.map(word => {
    const button = element('button', {type: 'button', textContent: word});
    button.setAttribute('aria-pressed', 'false');
    button.addEventListener('click', () => {
      part = part === word ? '' : word;
      for (const other of $('parts').children) other.setAttribute('aria-pressed', String(other.textContent === part));
      if (part && $('heat').value < 50) { $('heat').value = 70; document.body.style.setProperty('--heat', 0.7); }
      heatAll();
    });
    return button;
  }));
}

// A row of controls for what is known of the images; together they write the condition.
const quoted = text => "'" + text.replaceAll("'", "''") + "'";
const named = name => /^[A-Za-z_][\w.:-]*$/.test(name) ? name : '`' + name.replaceAll('`', '``') + '`';

function control(attribute) {
  const box = element('fieldset', {}, element('legend', {textContent: attribute.name, dir: 'auto'}));
  box.condition = () => '';
  if (attribute.histogram) {
    if (!attribute.histogram.length) return null;
    const top = Math.max(...attribute.histogram), bars = element('div', {className: 'bars'});
    for (const count of attribute.histogram) {
      const bar = element('i', {title: String(count)});
      bar.style.height = 100 * count / top + '%';
      bars.append(bar);
    }
    const ends = [['least', 'from'], ['most', 'to']].map(([end, word]) => {
      const input = element('input', {type: 'number', step: 'any', placeholder: String(attribute[end])});
      input.setAttribute('aria-label', attribute.name + ' ' + word);
      return input;
    });
    box.append(bars, ends[0], ' – ', ends[1]);
    box.condition = () => [['>=', ends[0]], ['<=', ends[1]]].filter(([, input]) => input.value !== '')
      .map(([sign, input]) => `${named(attribute.name)} ${sign} ${input.value}`).join(' and ');
  } else if (attribute.distinct > 1 && attribute.distinct <= 30) {
    const choice = element('select', {}, element('option', {value: '', textContent: 'any'}));
    choice.setAttribute('aria-label', attribute.name);
    for (const {value, count} of attribute.values) choice.append(element('option', {value, textContent: `${value} (${count})`}));
    box.append(choice);
    box.condition = () => choice.selectedIndex > 0 ? `${named(attribute.name)} = ${quoted(choice.value)}` : '';
  } else return null;
  box.addEventListener('change', () => {
    $('filter').value = [...$('choices').children].map(other => other.condition()).filter(text => text).join(' and ');
    search();
  });
  return box;
}

async function showConditions() {
  const {attributes} = await (await call(at('/v1/attributes'))).json();
  $('choices').replaceChildren(...attributes.map(control).filter(box => box).slice(0, 24));
  $('conditions').hidden = !$('choices').children.length;
}

// What is known of the index that is chosen.
async function showIndex() {
  const index = await (await call(at('/v1/index'))).json();
  tiles = index.tiles || '';
  $('index').textContent = `${index.images.toLocaleString()} images · ${index.model}`;
  for (const part of document.querySelectorAll('.archive')) part.hidden = index.indexes.length < 2;
  $('archive').replaceChildren(...index.indexes.map(({name, images}) =>
    element('option', {value: name, textContent: `${name} (${images.toLocaleString()})`, selected: name === index.name})));
  $('suggestions').replaceChildren(...index.suggestions.map(words => {
    const button = element('button', {type: 'button', textContent: words});
    button.addEventListener('click', () => { picture = null; like = null; unlike = []; $('words').value = words; search(); });
    return button;
  }));
  await showConditions();
}

// What stays moves to its new place; what is new comes in.
function fill(results, words) {
  const list = $('results'), before = new Map();
  for (const item of list.children) before.set(item.dataset.id, item.getBoundingClientRect());
  list.replaceChildren(...results.map(result => card(result, words)));
  // All places first: to look after each change would lay out everything again.
  const places = [...list.children].map(item => item.getBoundingClientRect());
  const isSeen = place => place.bottom > 0 && place.top < innerHeight;
  for (const [i, item] of [...list.children].entries()) {
    const old = before.get(item.dataset.id), now = places[i];
    if (!old || (!isSeen(old) && !isSeen(now))) continue;
    item.animate([{transform: `translate(${old.x - now.x}px,${old.y - now.y}px)`}, {transform: 'none'}], {duration: 250, easing: 'ease-out'});
  }
  draw(results);
  $('downloads').hidden = results.length === 0;
  if ($('heat').value > 0) heatAll();
}

// Wheel, drag, + and - on the map; 0 shows all.
let view = {zoom: 1, x: 0, y: 0};
function move(change) {
  Object.assign(view, change);
  if (last) draw(last.results);
}
$('map').addEventListener('wheel', event => {
  event.preventDefault();
  const box = $('map').getBoundingClientRect(), by = Math.exp(-event.deltaY / 300), zoom = Math.min(64, Math.max(1, view.zoom * by)), grown = zoom / view.zoom;
  const [x, y] = [(event.offsetX / box.width - 0.5) * $('map').width, (event.offsetY / box.height - 0.5) * $('map').height];
  move({zoom, x: x - (x - view.x) * grown, y: y - (y - view.y) * grown});
}, {passive: false});
$('map').addEventListener('pointermove', event => {
  if (event.buttons !== 1) return;
  const share = $('map').width / $('map').getBoundingClientRect().width;
  move({x: view.x + event.movementX * share, y: view.y + event.movementY * share});
});
$('map').addEventListener('keydown', event => {
  const step = {ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40]}[event.key];
  if (step) move({x: view.x + step[0], y: view.y + step[1]});
  else if (event.key === '+' || event.key === '-') {
    const zoom = Math.min(64, Math.max(1, view.zoom * (event.key === '+' ? 1.5 : 1 / 1.5)));
    move({zoom, x: view.x * zoom / view.zoom, y: view.y * zoom / view.zoom});
  } else if (event.key === '0') move({zoom: 1, x: 0, y: 0});
  else return;
  event.preventDefault();
});

// The map is Mercator's, which tiles are drawn for; heights in degrees of the equator.
const mercator = lat => Math.log(Math.tan(Math.PI / 4 + Math.max(-85.05, Math.min(85.05, lat)) * Math.PI / 360)) * 180 / Math.PI;
const latitude = y => Math.atan(Math.exp(y * Math.PI / 180)) * 360 / Math.PI - 90;

// Tiles of an outside service, where one is configured: those in view, each loaded once.
const loaded = new Map();
function lay(context, scale, middle, centre, redraw) {
  const zoom = Math.max(0, Math.min(19, Math.round(Math.log2(360 * scale / 256)))), count = 2 ** zoom, width = 360 / count;
  const [across, down] = [context.canvas.width / 2 / scale, context.canvas.height / 2 / scale];
  const first = Math.floor((middle - across + 180) / width), beyond = Math.ceil((middle + across + 180) / width);
  const [top, bottom] = [Math.max(0, Math.floor((180 - centre - down) / width)), Math.min(count, Math.ceil((180 - centre + down) / width))];
  for (let x = first; x < beyond; x++) for (let y = top; y < bottom; y++) {
    const address = tiles.replace('{z}', zoom).replace('{x}', ((x % count) + count) % count).replace('{y}', y);
    let image = loaded.get(address);
    if (!image) {
      image = element('img', {referrerPolicy: 'origin'});
      loaded.set(address, image);
      if (loaded.size > 400) loaded.delete(loaded.keys().next().value);
      image.addEventListener('load', redraw);
      image.src = address;
    }
    if (!image.complete || !image.naturalWidth) continue;
    const left = context.canvas.width / 2 + (x * width - 180 - middle) * scale, above = context.canvas.height / 2 - (180 - y * width - centre) * scale;
    context.drawImage(image, left, above, width * scale + 0.5, width * scale + 0.5);
  }
}

function draw(results) {
  const rings = results.flatMap(r => !r.geometry ? [] : r.geometry.type === 'Polygon' ? [r.geometry.coordinates[0]] :
    r.geometry.type === 'MultiPolygon' ? r.geometry.coordinates.map(p => p[0]) : []);
  const map = $('map');
  map.hidden = rings.length === 0;
  if (map.hidden) return;
  const all = rings.flat(), xs = all.map(p => p[0]), ys = all.map(p => p[1]);
  const [west, east, south, north] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const context = map.getContext('2d'), [bottom, top] = [mercator(south), mercator(north)];
  const scale = view.zoom * Math.min((map.width - 60) / Math.max(east - west, 1e-6), (map.height - 40) / Math.max(top - bottom, 1e-6));
  const [middle, centre] = [(west + east) / 2 - view.x / scale, (bottom + top) / 2 + view.y / scale];
  const at = p => [map.width / 2 + (p[0] - middle) * scale, map.height / 2 - (mercator(p[1]) - centre) * scale];
  const style = getComputedStyle(document.body), [acrossHalf, downHalf] = [map.width / 2 / scale, map.height / 2 / scale];
  // Lines at least eighty pixels apart, on 1, 2 or 5.
  const least = 80 / scale, power = Math.pow(10, Math.floor(Math.log10(least)));
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= least), digits = Math.max(0, -Math.floor(Math.log10(step)));
  const [lowest, highest] = [latitude(centre - downHalf), latitude(centre + downHalf)];
  context.clearRect(0, 0, map.width, map.height);
  if (tiles) lay(context, scale, middle, centre, () => { if (last && last.results === results) draw(results); });
  context.fillStyle = style.getPropertyValue('--soft'); context.font = '12px system-ui';
  const pen = (color, width) => { context.strokeStyle = style.getPropertyValue(color); context.lineWidth = width; };
  const line = (from, to) => { pen('--line', 1); context.beginPath(); context.moveTo(...from); context.lineTo(...to); context.stroke(); };
  const label = (text, x, y) => { pen('--card', 3); context.strokeText(text, x, y); context.fillText(text, x, y); };
  for (let lon = Math.ceil((middle - acrossHalf) / step) * step; lon < middle + acrossHalf; lon += step) {
    const x = at([lon, south])[0];
    line([x, 0], [x, map.height]); label(lon.toFixed(digits), x + 3, map.height - 5);
  }
  for (let lat = Math.ceil(lowest / step) * step; lat < highest; lat += step) {
    const y = at([west, lat])[1];
    line([0, y], [map.width, y]); label(lat.toFixed(digits), 4, y - 3);
  }
  for (const ring of rings) {
    context.beginPath();
    ring.forEach((p, i) => i ? context.lineTo(...at(p)) : context.moveTo(...at(p)));
    context.closePath();
    // Seen on whatever lies below.
    pen('--card', 5); context.stroke();
    pen('--accent', 2); context.stroke();
  }
}

async function search() {
  const words = $('words').value.trim(), filter = $('filter').value.trim(), mine = ++run;
  const body = {top: most};
  $('more').hidden = true;
  if (archive) body.index = archive;
  if (filter) body.filter = filter;
  if (unlike.length) body.unlike = unlike.slice(-100);
  if (picture) body.image = picture; else if (like !== null) body.id = like; else if (words) body.text = words;
  else { say('Type what to look for, or drop a picture here.'); $('suggestions').hidden = false; fill([], ''); return; }
  const address = new URLSearchParams();
  if (body.text) address.set('q', words);
  if (body.id !== undefined) address.set('like', like);
  if (archive) address.set('index', archive);
  if (filter) address.set('filter', filter);
  if (unlike.length) address.set('unlike', unlike.join(' '));
  history.replaceState(null, '', '?' + address);
  $('suggestions').hidden = true;
  showParts(body.text || '');
  picked.clear();
  count();
  say('Looking …');
  const began = performance.now();
  try {
    if (body.text) {
      const first = await post('/v1/search', Object.assign({recall_only: true}, body));
      if (mine !== run) return;
      fill(first.results, words);
    }
    const answer = await post('/v1/search', body);
    if (mine !== run) return;
    last = answer;
    view = {zoom: 1, x: 0, y: 0};
    fill(answer.results, body.text ? words : '');
    $('more').hidden = answer.results.length < most || most >= 1000;
    say(answer.results.length === 0 ? 'Nothing fits; try other words or a wider filter.' :
      `${answer.results.length} result${answer.results.length === 1 ? '' : 's'} · words ${answer.encode_ms.toFixed(1)} ms, recall ${answer.recall_ms.toFixed(1)} ms, rerank ${answer.rerank_ms.toFixed(1)} ms · ${Math.round(performance.now() - began)} ms here`);
  } catch (error) { if (mine === run) { say(error.message, true); fill([], ''); } }
}

function take(file) {
  if (!file || !file.type.startsWith('image/')) return;
  const reader = new FileReader();
  reader.onload = () => { picture = reader.result; like = null; unlike = []; $('words').value = ''; search(); };
  reader.readAsDataURL(file);
}

// Of what is saved: what was selected, or else all that is shown.
const chosen = () => last.results.filter(r => !picked.size || picked.has(r.id));
function count() { $('picked').textContent = picked.size ? `${picked.size} selected: ` : ''; }

function save(text, name, type) {
  const link = element('a', {href: URL.createObjectURL(new Blob([text], {type})), download: name});
  link.click();
}

$('form').addEventListener('submit', event => { event.preventDefault(); picture = null; like = null; most = 24; unlike = []; search(); });
$('more').addEventListener('click', () => { most = Math.min(1000, most * 4); search(); });
$('filter').addEventListener('change', search);
$('archive').addEventListener('change', async () => {
  // Ids and attributes are of one index.
  archive = $('archive').value; like = null; unlike = []; $('filter').value = '';
  try { await showIndex(); } catch (error) { say(error.message, true); }
  search();
});
$('file').addEventListener('change', event => take(event.target.files[0]));
$('heat').addEventListener('input', event => {
  document.body.style.setProperty('--heat', event.target.value / 100);
  heatAll();
});
addEventListener('paste', event => take([...event.clipboardData.files][0]));
addEventListener('dragover', event => { event.preventDefault(); document.body.classList.add('dropping'); });
addEventListener('dragleave', () => document.body.classList.remove('dropping'));
addEventListener('drop', event => { event.preventDefault(); document.body.classList.remove('dropping'); take(event.dataTransfer.files[0]); });
addEventListener('keydown', event => { if (event.key === '/' && document.activeElement.tagName !== 'INPUT') { event.preventDefault(); $('words').focus(); } });
$('geojson').addEventListener('click', () => save(JSON.stringify({type: 'FeatureCollection', features: chosen().map(r =>
  ({type: 'Feature', id: r.id, geometry: r.geometry || null, properties: {rank: r.rank, score: r.score, path: r.path}}))}), 'results.geojson', 'application/geo+json'));
$('csv').addEventListener('click', () => save('rank,id,score,path\r\n' + chosen().map(r =>
  [r.rank, r.id, r.score, '"' + r.path.replaceAll('"', '""') + '"'].join(',')).join('\r\n') + '\r\n', 'results.csv', 'text/csv'));

(async () => {
  const address = new URLSearchParams(location.search);
  $('words').value = address.get('q') || '';
  $('filter').value = address.get('filter') || '';
  unlike = (address.get('unlike') || '').split(' ').filter(id => id).map(Number);
  if (address.has('like')) like = Number(address.get('like'));
  try {
    archive = address.get('index') || '';
    await showIndex();
  } catch (error) { say(error.message, true); }
  search();
})();
