// The page: a question, its answers, and what is asked always to be seen.
import {ResultsMap} from './map.js';
import {LargeView} from './view.js';

const $ = id => document.getElementById(id);
const pageSize = 24, mostPages = 10_000;
let token = sessionStorage.getItem('token') || '', run = 0, loading = false, results = [], found = null, part = '', index = null, asking = null;
// What is asked. A picture is a data URL with its name.
let asked = {words: '', picture: null, like: [], unlike: [], filter: '', chosen: {}, bbox: null, order: '', seed: 0, archive: ''};
const picked = new Map(), paths = new Map();

const wait = seconds => new Promise(done => setTimeout(done, 1000 * seconds));
const element = (name, properties, ...children) => { const made = Object.assign(document.createElement(name), properties); made.append(...children); return made; };

function say(text, bad) { $('status').textContent = text; $('status').classList.toggle('bad', !!bad); }

// MARK: The service

// One form, however many requests wait for it.
function askForToken() {
  asking = asking || new Promise(done => {
    $('token').value = '';
    $('ask').showModal();
    $('ask').addEventListener('close', () => { asking = null; done($('token').value); }, {once: true});
  });
  return asking;
}

async function call(path, options = {}, tries = 5) {
  const headers = Object.assign({}, options.headers);
  if (token) headers.Authorization = 'Bearer ' + token;
  let response;
  try { response = await fetch(path, Object.assign({}, options, {headers})); } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Error(navigator.onLine ? 'The service cannot be reached; is it running?' : 'This computer is offline.');
  }
  // Busy: not all who are sent away come back at once.
  if ((response.status === 429 || response.status === 503) && tries) { await wait(0.2 + Math.random() * (6 - tries)); return call(path, options, tries - 1); }
  if (response.status === 401) {
    const given = await askForToken();
    if (given) { token = given; sessionStorage.setItem('token', given); return call(path, options, tries); }
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw Object.assign(new Error(problem.detail || response.statusText || 'It was not answered.'), {code: problem.code, status: response.status});
  }
  return response;
}
const post = (path, body, signal) => call(path, {method: 'POST', signal, headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});

// The address in the index that is chosen, where there is a choice.
const at = path => asked.archive ? path + (path.includes('?') ? '&' : '?') + 'index=' + encodeURIComponent(asked.archive) : path;

// Pictures load by themselves, and again where they were sent away; with a token they are fetched, since an image cannot show it.
async function show(image, path, tries = 3) {
  if (token) {
    try { image.src = URL.createObjectURL(await (await call(path)).blob()); } catch { image.dispatchEvent(new Event('missing')); }
    return;
  }
  image.onerror = () => { if (tries) setTimeout(() => show(image, path, tries - 1), 400 + 1200 * Math.random() * (4 - tries)); else image.dispatchEvent(new Event('missing')); };
  image.src = path;
}

// MARK: What is asked

const quoted = text => "'" + text.replaceAll("'", "''") + "'";
const named = name => /^[A-Za-z_][\w.:-]*$/.test(name) ? name : '`' + name.replaceAll('`', '``') + '`';

// What was chosen for an attribute, as a condition and as words.
function condition(name, choice) {
  const parts = [];
  if (choice.value !== undefined) parts.push(`${named(name)} = ${quoted(choice.value)}`);
  if (choice.least !== undefined) parts.push(`${named(name)} >= ${choice.least}`);
  if (choice.most !== undefined) parts.push(`${named(name)} <= ${choice.most}`);
  if (choice.from) parts.push(`${named(name)} >= ${quoted(choice.from)}`);
  if (choice.to) parts.push(`${named(name)} <= ${quoted(choice.to)}`);
  return parts.join(' and ');
}
function described(name, choice) {
  if (choice.value !== undefined) return `${name}: ${choice.value}`;
  const [low, high] = [choice.least ?? choice.from, choice.most ?? choice.to];
  return high === undefined || high === '' ? `${name} from ${low}` : low === undefined || low === '' ? `${name} to ${high}` : `${name}: ${low} – ${high}`;
}
// The written condition and the chosen ones, all of which have to hold.
function filter() {
  const parts = Object.entries(asked.chosen).map(([name, choice]) => condition(name, choice)).filter(text => text);
  if (asked.filter) parts.unshift(parts.length ? `(${asked.filter})` : asked.filter);
  return parts.join(' and ');
}

// The body of a search; null where nothing is asked for.
function question() {
  const examples = [], body = {};
  if (asked.words) examples.push({text: asked.words});
  if (asked.picture) examples.push({image: asked.picture.data});
  for (const id of asked.like) examples.push({id});
  if (!examples.length) return null;
  if (examples.length > 1) body.examples = examples; else Object.assign(body, examples[0]);
  if (asked.unlike.length) body.unlike = asked.unlike.slice(-100);
  return Object.assign(body, narrowed());
}
function narrowed() {
  const body = {}, text = filter();
  if (asked.archive) body.index = asked.archive;
  if (text) body.filter = text;
  if (asked.bbox) body.bbox = asked.bbox;
  return body;
}
// Heat is of a sentence alone.
const heatWords = () => asked.words && !asked.picture && !asked.like.length ? asked.words : '';

function address(view) {
  const parts = new URLSearchParams();
  const set = (name, value) => { if (value) parts.set(name, value); };
  set('q', asked.words);
  set('like', asked.like.join(' '));
  set('unlike', asked.unlike.join(' '));
  set('filter', asked.filter);
  set('where', Object.keys(asked.chosen).length ? JSON.stringify(asked.chosen) : '');
  set('bbox', asked.bbox ? asked.bbox.join(',') : '');
  set('order', asked.order);
  set('seed', asked.order === 'random' ? String(asked.seed) : '');
  set('index', asked.archive);
  set('view', view ? String(view) : '');
  return '?' + parts;
}

function read() {
  const parts = new URLSearchParams(location.search), ids = name => (parts.get(name) || '').split(/[ ,]/).filter(id => /^\d+$/.test(id)).map(Number);
  let chosen = {};
  try { chosen = JSON.parse(parts.get('where') || '{}') || {}; } catch { /* An address that was cut. */ }
  const box = (parts.get('bbox') || '').split(',').map(Number);
  asked = {words: parts.get('q') || '', picture: null, like: ids('like'), unlike: ids('unlike'), filter: parts.get('filter') || '',
    chosen: typeof chosen === 'object' && !Array.isArray(chosen) ? chosen : {}, bbox: box.length === 4 && box.every(Number.isFinite) ? box : null,
    order: parts.get('order') || '', seed: Number(parts.get('seed')) || 0, archive: parts.get('index') || ''};
  return ids('view')[0];
}

function ask(change) {
  Object.assign(asked, change);
  history.pushState({picture: asked.picture}, '', address());
  return search();
}

function chip(text, remove, image) {
  const made = element('span', {className: 'chip', dir: 'auto'}), gone = element('button', {type: 'button', textContent: '×'});
  gone.setAttribute('aria-label', 'Take away ' + text);
  gone.addEventListener('click', remove);
  if (image) made.append(image);
  made.append(element('span', {textContent: text}), gone);
  return made;
}

function thumbnail(id) {
  const image = element('img', {alt: ''});
  show(image, at(`v1/images/${id}/thumbnail?size=56`));
  return image;
}
const nameOf = id => (paths.get(id) || 'image ' + id).split('/').pop();

function showChips() {
  const chips = [];
  if (asked.picture) chips.push(chip(asked.picture.name, () => ask({picture: null}), element('img', {src: asked.picture.data, alt: ''})));
  for (const id of asked.like) chips.push(chip('like ' + nameOf(id), () => ask({like: asked.like.filter(other => other !== id)}), thumbnail(id)));
  for (const id of asked.unlike) {
    const made = chip(nameOf(id), () => ask({unlike: asked.unlike.filter(other => other !== id)}), thumbnail(id));
    made.classList.add('away');
    chips.push(made);
  }
  if (asked.filter) chips.push(chip(asked.filter, () => ask({filter: ''})));
  for (const [name, choice] of Object.entries(asked.chosen)) {
    chips.push(chip(described(name, choice), () => { const chosen = Object.assign({}, asked.chosen); delete chosen[name]; ask({chosen}); }));
  }
  if (asked.bbox) chips.push(chip('in the box on the map', () => ask({bbox: null})));
  if (asked.order) chips.push(chip({newest: 'newest first', oldest: 'oldest first', place: 'by place', random: 'at random'}[asked.order] || asked.order, () => ask({order: ''})));
  $('chips').replaceChildren(...chips);
  $('chips').hidden = !chips.length;
  $('words').value = asked.words;
  $('filter').value = asked.filter;
  for (const box of $('choices').children) box.fill(asked.chosen[box.attribute] || {});
}

// MARK: Cards

const seen = new IntersectionObserver(entries => {
  for (const {target, isIntersecting} of entries) {
    target.isSeen = isIntersecting;
    if (isIntersecting) reveal(target);
  }
}, {rootMargin: '300px'});

function reveal(item) {
  if (!item.isShown) {
    item.isShown = true;
    show(item.image, at(`v1/images/${item.result.id}/thumbnail`));
  }
  if ($('heat').value > 0) heat(item);
}

// Of the sentence, or of the word of it that is pointed at.
function heat(item) {
  const words = heatWords();
  if (!words) return;
  const path = heatPath(item.result.id), known = item.picture.querySelector('.heat');
  if (known && known.dataset.path === path) return;
  const image = known || element('img', {className: 'heat', alt: ''});
  image.dataset.path = path;
  show(image, path);
  if (!known) item.picture.append(image);
}
const heatPath = id => at(`v1/images/${id}/heatmap?q=${encodeURIComponent(heatWords().slice(0, 1000))}` + (part ? '&word=' + encodeURIComponent(part) : ''));
function heatSeen() { for (const item of $('results').children) if (item.isSeen) heat(item); }

function card(result) {
  const name = result.path.split('/').pop();
  const image = element('img', {alt: name}), picture = element('button', {type: 'button', className: 'picture'}, image);
  picture.setAttribute('aria-label', `Result ${result.rank}: ${name}; open it`);
  image.addEventListener('missing', () => { image.alt = name + ' is not there any more'; });
  image.addEventListener('load', () => picture.classList.toggle('wide', Math.max(image.naturalWidth / image.naturalHeight, image.naturalHeight / image.naturalWidth) > 1.6));
  const details = [];
  if (result.probability >= 0.05) details.push(`${Math.round(100 * result.probability)} % likely to show it`);
  if (result.datetime) details.push(result.datetime.slice(0, 10));
  if (result.centre) details.push(`${result.centre[1].toFixed(4)}, ${result.centre[0].toFixed(4)}`);
  const more = element('button', {type: 'button', textContent: 'Like this'}), less = element('button', {type: 'button', textContent: 'Not this'});
  more.addEventListener('click', () => act('like', result));
  less.addEventListener('click', () => act('unlike', result));
  const box = element('input', {type: 'checkbox', checked: picked.has(result.id)});
  box.setAttribute('aria-label', 'Choose ' + name);
  box.addEventListener('change', () => { if (box.checked) picked.set(result.id, result); else picked.delete(result.id); count(); });
  const label = element('span', {className: 'name', dir: 'auto', textContent: name, title: result.path});
  const item = element('li', {}, element('figure', {},
    element('div', {className: 'frame'}, picture, element('b', {className: 'rank', textContent: result.rank}), element('label', {className: 'pick'}, box)),
    element('figcaption', {}, label, element('span', {className: 'numbers', textContent: details.join(' · ')}), element('div', {className: 'acts'}, more, less))));
  Object.assign(item, {result, image, picture, box});
  item.dataset.id = result.id;
  picture.addEventListener('click', () => open(result.id));
  for (const event of ['pointerenter', 'focusin']) item.addEventListener(event, () => { heat(item); map.mark(result.id); });
  for (const event of ['pointerleave', 'focusout']) item.addEventListener(event, () => map.mark(null));
  seen.observe(item);
  return item;
}

function fill(added, isMore) {
  const list = $('results');
  if (!isMore) {
    for (const item of list.children) seen.unobserve(item);
    results = [];
  }
  results.push(...added);
  for (const result of added) paths.set(result.id, result.path);
  const cards = added.map(card);
  if (isMore) list.append(...cards); else list.replaceChildren(...cards);
  // Shown first: a map has its size only then.
  $('mapped').hidden = false;
  $('mapped').hidden = !map.show(results, asked.bbox) && !asked.bbox;
  $('downloads').hidden = !results.length;
  count();
}

function act(what, result) {
  if (what === 'original') return save(at(`v1/images/${result.id}/original`), result.path.split('/').pop());
  large.close(false);
  if (what === 'like') return ask({words: '', picture: null, like: [result.id], unlike: [], order: ''});
  return ask({unlike: [...asked.unlike.filter(id => id !== result.id), result.id]});
}

// MARK: Searching

const small = new Set('a an and at by for in is it its near next of on or over some the there to under very with'.split(' '));

function showParts() {
  part = '';
  const list = [...new Set(heatWords().split(/[^\p{L}\p{N}'-]+/u).filter(word => word && !small.has(word.toLowerCase())))];
  $('parts').hidden = list.length < 2;
  $('parts').replaceChildren(...list.map(word => {
    const button = element('button', {type: 'button', textContent: word});
    button.setAttribute('aria-pressed', 'false');
    button.addEventListener('click', () => {
      part = part === word ? '' : word;
      for (const other of $('parts').children) other.setAttribute('aria-pressed', String(other.textContent === part));
      if (part && $('heat').value < 50) { $('heat').value = 70; document.body.style.setProperty('--heat', 0.7); }
      heatSeen();
    });
    return button;
  }));
}

// The next of what is asked for.
async function fetched(offset, signal) {
  const body = question();
  if (body) return (await post('v1/search', Object.assign(body, {top: pageSize, offset}), signal)).json();
  const parts = new URLSearchParams({order: asked.order, top: pageSize, offset, seed: asked.seed}), text = filter();
  if (text) parts.set('filter', text);
  if (asked.bbox) parts.set('bbox', asked.bbox.join(','));
  return (await call(at('v1/browse?' + parts), {signal})).json();
}

async function search() {
  const mine = ++run, body = question();
  showChips();
  showParts();
  $('more').hidden = true;
  $('timings').textContent = '';
  // Conditions alone are a way to look around.
  if (!body && !asked.order && (filter() || asked.bbox)) asked.order = 'newest';
  $('suggestions').hidden = !!body || !!asked.order;
  $('browse').hidden = !!body;
  for (const button of $('browse').querySelectorAll('button')) button.setAttribute('aria-pressed', String(button.dataset.order === asked.order));
  $('results').setAttribute('aria-busy', String(!!body || !!asked.order));
  if (!body && !asked.order) { say('Type what to look for, drop a picture here, or look around.'); found = null; fill([]); return; }
  say('Looking …');
  const began = performance.now();
  loading = true;
  try {
    // What is fast comes first; what is fine takes its place, and finds the words encoded.
    let encoding;
    if (body && body.text) {
      const first = await (await post('v1/search', Object.assign({recall_only: true, top: pageSize}, body))).json();
      if (mine !== run) return;
      encoding = first.encode_ms;
      fill(first.results);
    }
    const answer = await fetched(0);
    if (mine !== run) return;
    found = answer;
    fill(answer.results);
    $('more').hidden = answer.results.length < pageSize;
    say(!answer.results.length ? 'Nothing fits; try other words or wider conditions.' : answer.nothing_fits > 0.5 ? `Nothing here is likely to show that (the best ${Math.round(100 * (1 - answer.nothing_fits))} %); these come closest.` :
      answer.matched !== undefined ? `${answer.matched.toLocaleString()} images` : 'The best come first.');
    $('timings').textContent = answer.encode_ms === undefined ? '' :
      `words ${(encoding ?? answer.encode_ms).toFixed(1)} ms, recall ${answer.recall_ms.toFixed(1)} ms, rerank ${answer.rerank_ms.toFixed(1)} ms · ${Math.round(performance.now() - began)} ms here`;
  } catch (error) {
    if (mine !== run) return;
    if (error.code === 'no_such_index') { const name = asked.archive; asked.archive = ''; await showIndex(); await search(); say(`There is no index '${name}' here; this is ${index.name}.`, true); return; }
    fill([]);
    say(error.message, true);
  } finally {
    if (mine === run) { loading = false; $('results').setAttribute('aria-busy', 'false'); }
  }
}

async function more() {
  if (loading || $('more').hidden || results.length >= pageSize * mostPages) return;
  const mine = run;
  loading = true;
  try {
    const answer = await fetched(results.length);
    if (mine !== run) return;
    fill(answer.results, true);
    $('more').hidden = answer.results.length < pageSize;
  } catch (error) { if (mine === run) say(error.message, true); } finally { if (mine === run) loading = false; }
  if (mine === run && nearEnd) more();
}
let nearEnd = false;
new IntersectionObserver(entries => { nearEnd = entries[0].isIntersecting; if (nearEnd) more(); }, {rootMargin: '600px'}).observe($('beyond'));

// MARK: Conditions

// A row of controls for what is known of the images.
function control(attribute) {
  const box = element('fieldset', {attribute: attribute.name}, element('legend', {textContent: attribute.name, dir: 'auto'}));
  const pair = (type, keys, hints) => keys.map((key, i) => {
    const input = element('input', {type, placeholder: hints[i] === undefined ? '' : String(hints[i])});
    if (type === 'number') input.step = 'any';
    input.setAttribute('aria-label', `${attribute.name} ${i ? 'to' : 'from'}`);
    return input;
  });
  const isTimes = attribute.values && attribute.values.length && attribute.values.every(({value}) => /^\d{4}-\d\d-\d\d/.test(value));
  let inputs, keys;
  if (attribute.histogram && attribute.histogram.length) {
    const top = Math.max(...attribute.histogram), bars = element('div', {className: 'bars'});
    for (const number of attribute.histogram) {
      const bar = element('i', {title: String(number)});
      bar.style.height = 100 * number / top + '%';
      bars.append(bar);
    }
    keys = ['least', 'most'];
    inputs = pair('number', keys, [attribute.least, attribute.most]);
    box.append(bars, inputs[0], ' – ', inputs[1]);
  } else if (isTimes) {
    keys = ['from', 'to'];
    inputs = pair('date', keys, []);
    box.append(inputs[0], ' – ', inputs[1]);
  } else if (attribute.distinct > 1 && attribute.distinct <= 30) {
    const choice = element('select', {}, element('option', {value: '', textContent: 'any'}));
    choice.setAttribute('aria-label', attribute.name);
    for (const {value, count: number} of attribute.values) choice.append(element('option', {value, textContent: `${value} (${number})`}));
    box.append(choice);
    box.fill = known => { choice.selectedIndex = known.value === undefined ? 0 : Math.max(0, [...choice.options].findIndex((option, i) => i && option.value === known.value)); };
    box.chosen = () => choice.selectedIndex > 0 ? {value: choice.value} : {};
  } else return null;
  if (inputs) {
    box.fill = known => inputs.forEach((input, i) => { input.value = known[keys[i]] ?? ''; });
    box.chosen = () => Object.fromEntries(inputs.map((input, i) => [keys[i], keys[0] === 'least' ? Number(input.value) : input.value]).filter((_, i) => inputs[i].value !== ''));
  }
  box.addEventListener('change', () => {
    const chosen = Object.assign({}, asked.chosen), mine = box.chosen();
    if (Object.keys(mine).length) chosen[attribute.name] = mine; else delete chosen[attribute.name];
    ask({chosen});
  });
  return box;
}

// What is known of the index that is chosen.
async function showIndex() {
  try { index = await (await call(at('v1/index'))).json(); } catch (error) {
    if (error.code !== 'no_such_index') throw error;
    say(`There is no index '${asked.archive}' here.`, true);
    asked.archive = '';
    index = await (await call('v1/index')).json();
  }
  map.tiles = index.tiles || '';
  $('index').textContent = `${index.images.toLocaleString()} images · ${index.model}`;
  for (const one of document.querySelectorAll('.archive')) one.hidden = index.indexes.length < 2;
  $('archive').replaceChildren(...index.indexes.map(({name, images}) =>
    element('option', {value: name, textContent: `${name} (${images.toLocaleString()})`, selected: name === index.name})));
  $('suggestions').replaceChildren(...index.suggestions.map(words => {
    const button = element('button', {type: 'button', textContent: words});
    button.addEventListener('click', () => ask({words, picture: null, like: [], unlike: [], order: ''}));
    return button;
  }));
  const {attributes} = await (await call(at('v1/attributes'))).json();
  $('choices').replaceChildren(...attributes.map(control).filter(box => box).slice(0, 24));
  $('conditions').hidden = !$('choices').children.length;
  $('conditions').open = $('conditions').open || Object.keys(asked.chosen).length > 0;
}

// MARK: Pictures that are given

const mostSide = 1024;

async function take(file) {
  if (!file) return;
  try {
    // Reduced here: the model sees less than this of it, and a camera's file is large.
    const bitmap = await createImageBitmap(file), share = Math.min(1, mostSide / Math.min(bitmap.width, bitmap.height)), canvas = element('canvas', {});
    [canvas.width, canvas.height] = [Math.max(1, Math.round(bitmap.width * share)), Math.max(1, Math.round(bitmap.height * share))];
    const context = canvas.getContext('2d');
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    await ask({picture: {name: file.name || 'a picture', data: canvas.toDataURL('image/jpeg', 0.92)}, words: '', like: [], unlike: [], order: ''});
  } catch {
    say(`This browser cannot show ${file.name || 'this file'}${/\.tiff?$/i.test(file.name) ? ' (a TIFF)' : ''}: save it as JPEG or PNG and drop that, or index it and use Like this.`, true);
  }
}

// MARK: Files

function count() {
  const isAny = picked.size > 0;
  $('picked').textContent = isAny ? `${picked.size} chosen` : '';
  $('these').hidden = $('none').hidden = !isAny;
  for (const item of $('results').children) item.box.checked = picked.has(item.result.id);
  const isAsked = !!question() || isAny;
  for (const button of $('downloads').querySelectorAll('[data-format], .label')) button.hidden = !isAsked;
}

async function save(path, name, body) {
  try {
    const answer = body ? await post(path, body) : await call(path);
    const link = element('a', {href: URL.createObjectURL(await answer.blob()), download: name});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) { say(error.message, true); }
}

// The chosen, or all that is found: by the service, with all that is known of each.
function download(format) {
  const body = question() || Object.assign({examples: [...picked.keys()].slice(0, 1).map(id => ({id}))}, narrowed());
  if (picked.size) {
    const ids = `id in (${[...picked.keys()].map(id => `'${id}'`).join(', ')})`;
    // An image that is asked for is no result of its own question.
    if (body.id !== undefined || body.examples) { savePicked(format); return; }
    body.filter = body.filter ? `(${body.filter}) and ${ids}` : ids;
  }
  save('v1/search', 'results.' + format, Object.assign(body, {format}));
}

const own = name => '"' + String(name ?? '').replaceAll('"', '""') + '"';
// Of chosen images that no sentence asks for.
function savePicked(format) {
  const chosen = [...picked.values()], names = [...new Set(chosen.flatMap(result => Object.keys(result.attributes || {})))].sort();
  if (format === 'parquet') { say('A table of these comes with a sentence; CSV and GeoJSON without.', true); return; }
  const text = format === 'csv' ?
    ['id,path,score,datetime,lon,lat,' + names.map(own).join(','), ...chosen.map(r => [r.id, own(r.path), r.score, own(r.datetime), r.centre?.[0] ?? '', r.centre?.[1] ?? '',
      ...names.map(name => own(typeof r.attributes[name] === 'object' ? JSON.stringify(r.attributes[name]) : r.attributes[name]))].join(','))].join('\r\n') + '\r\n' :
    JSON.stringify({type: 'FeatureCollection', features: chosen.map(r => ({type: 'Feature', id: r.id, geometry: r.geometry || null,
      properties: Object.assign({}, r.attributes, {path: r.path, score: r.score, datetime: r.datetime})}))});
  const link = element('a', {href: URL.createObjectURL(new Blob([text], {type: format === 'csv' ? 'text/csv' : 'application/geo+json'})), download: 'results.' + format});
  link.click();
}

// MARK: Together

const map = new ResultsMap($('map'), {
  mark: id => { for (const item of $('results').children) item.classList.toggle('marked', item.result.id === id); },
  open: id => open(id),
  box: bbox => { setBoxing(false); ask({bbox}); },
});
const large = new LargeView({
  fetched: async path => (await call(at(path))).blob(),
  heat: id => heatWords() && found && found.rerank_ms !== undefined ? heatPath(id).replace(/[?&]index=.*$/, '') : null,
  act,
  moved: id => { if (id) history.replaceState(history.state, '', address(id)); else history.back(); },
});

function open(id) {
  if (large.open(results, id)) history.pushState({picture: asked.picture, isView: true}, '', address(id));
}

function setBoxing(isOn) {
  map.boxing = isOn;
  $('draw').setAttribute('aria-pressed', String(isOn));
  $('map').classList.toggle('boxing', isOn);
}

$('form').addEventListener('submit', event => { event.preventDefault(); ask({words: $('words').value.trim(), order: ''}); });
$('filter').addEventListener('change', () => ask({filter: $('filter').value.trim()}));
$('archive').addEventListener('change', async () => {
  // Ids and attributes are of one index.
  picked.clear();
  Object.assign(asked, {archive: $('archive').value, like: [], unlike: [], filter: '', chosen: {}, bbox: null});
  try { await showIndex(); } catch (error) { say(error.message, true); }
  ask({});
});
$('askform').addEventListener('submit', event => { event.preventDefault(); $('ask').close(); });
$('more').addEventListener('click', more);
$('file').addEventListener('change', event => { take(event.target.files[0]); event.target.value = ''; });
$('heat').addEventListener('input', event => { document.body.style.setProperty('--heat', event.target.value / 100); if (event.target.value > 0) heatSeen(); });
$('browse').addEventListener('click', event => {
  const order = event.target.dataset.order;
  if (order) ask({order, words: '', picture: null, like: [], unlike: [], seed: order === 'random' ? Math.floor(Math.random() * 2 ** 31) : 0});
});
$('draw').addEventListener('click', () => setBoxing(!map.boxing));
$('closer').addEventListener('click', () => map.zoom(1.6));
$('farther').addEventListener('click', () => map.zoom(1 / 1.6));
$('all').addEventListener('click', () => { map.fit(); map.draw(); });
$('these').addEventListener('click', () => ask({words: asked.words, picture: null, like: [...picked.keys()].slice(0, 60), unlike: [], order: ''}));
$('none').addEventListener('click', () => { picked.clear(); count(); });
for (const button of $('downloads').querySelectorAll('[data-format]')) button.addEventListener('click', () => download(button.dataset.format));
addEventListener('paste', event => { const file = [...event.clipboardData.files][0]; if (file) take(file); });
addEventListener('dragover', event => { event.preventDefault(); document.body.classList.add('dropping'); });
addEventListener('dragleave', () => document.body.classList.remove('dropping'));
addEventListener('drop', event => { event.preventDefault(); document.body.classList.remove('dropping'); take(event.dataTransfer.files[0]); });
addEventListener('keydown', event => { if (event.key === '/' && !/INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName) && !large.isOpen) { event.preventDefault(); $('words').focus(); } });
addEventListener('offline', () => say('This computer is offline.', true));
addEventListener('online', () => { say('Back online.'); search(); });

// Where the address leads: a question, an index, a result that is open. Going back from a result only closes it.
let shown = '';
async function arrive(state) {
  const view = read(), before = shown;
  if (state && state.picture) asked.picture = state.picture;
  shown = address();
  if (shown !== before || !index) {
    large.close(false);
    try { if (!index || index.name !== (asked.archive || index.indexes[0].name)) await showIndex(); } catch (error) { say(error.message, true); }
    await search();
    shown = address();
  }
  if (view && (!large.isOpen || large.result.id !== view)) await reopen(view);
  if (!view) large.close(false);
}
async function reopen(view) {
  if (!results.some(result => result.id === view)) {
    try { fill([await (await call(at(`v1/images/${view}`))).json()], true); } catch { return; }
  }
  large.open(results, view);
}
addEventListener('popstate', event => arrive(event.state));
const remember = history.pushState.bind(history);
history.pushState = (state, unused, to) => { remember(state, unused, to); if (!state || !state.isView) shown = address(); };
arrive(null);
