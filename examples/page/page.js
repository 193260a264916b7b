// The page sends photos to the worker and shows its answers. `render` shows the whole state and
// changes only what differs.
import { SIDE, VIRIDIS } from './attention.js';
import { capital, figure, megabytes, milliseconds, percent, plain, TIERS } from './words.js';

const $ = (id) => document.getElementById(id);
const stage = $('stage');
const url = (path) => new URL(path, import.meta.url).href;

/** Photos on the page: new ones replace the oldest. */
const MOST_PHOTOS = 24;

/** The bundled models and their float checkpoints. */
const MODELS = {
  deit_cifar10: {
    source: url('../../models/deit_cifar10.safetensors'),
    float: url('../../training/weights/deit_cifar10.safetensors'),
  },
  swin_cifar10: {
    source: url('../../models/swin_cifar10.safetensors'),
    float: url('../../training/weights/swin_cifar10.safetensors'),
  },
};

/**
 * @type {{ name: string, blob: Blob, url: string, width?: number, height?: number, found: object,
 *   item?: HTMLElement }[]}
 */
let photos = [];
let selected;
/** The loaded model: its info, and later `ms`, `floatInfo`, `floatMs` and `floatError`. */
let model;
/** The loaded share of the next model, 0 to 1; undefined if none is loading. */
let loading;
/** The error if there is no model. */
let modelError;
/** `{ text, detail }` until the user closes it. */
let notice;
let method = 'last';

// The worker: each call returns a promise.

let worker;
let calls = 0;
const waiting = new Map();

function ask(call, ...args) {
  worker ??= startWorker();
  return new Promise((resolve, reject) => {
    const id = calls++;
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, call, args });
  });
}

function startWorker() {
  const started = new Worker(url('worker.js'), { type: 'module' });
  started.addEventListener('message', ({ data: { id, result, error, loaded, total } }) => {
    if (id === undefined) {
      if (loading !== undefined) loading = total ? loaded / total : 0;
      return render();
    }
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(error);
    else resolve(result);
  });
  // a missing module
  started.addEventListener('error', () => {
    for (const { reject } of waiting.values()) reject({ code: 'WASM_MISSING', message: 'dist/ is missing' });
    waiting.clear();
    worker = undefined;
  });
  return started;
}

// Models.

let turn = 0;

/** @param choice a name of `MODELS` or a File; if it cannot be loaded, the previous model stays */
async function openModel(choice) {
  const mine = ++turn;
  const { source, float } = MODELS[choice] ?? { source: choice };
  loading = 0;
  modelError = undefined;
  render();
  try {
    const info = await ask('load', source);
    model = { ...info, choice, float };
    for (const photo of photos) photo.found = {};
  } catch (error) {
    if (model) notice = { text: plain(error), detail: error.message };
    else modelError = error;
  }
  // the next one may be loading already
  if (mine === turn) loading = undefined;
  render();
  examineAll();
}

// Photos.

function addFiles(files) {
  notice = undefined;
  const isModel = ({ name }) => name.endsWith('.safetensors');
  const ownModel = files.find(isModel);
  const added = files.filter((file) => !isModel(file)).slice(0, MOST_PHOTOS);
  if (ownModel) openModel(ownModel);
  if (added.length === 0) {
    if (!ownModel) notice = { text: 'That contains no file. Save the photo first, then choose it.' };
    return render();
  }
  const fresh = added.map((blob) => ({
    name: blob.name,
    blob,
    url: URL.createObjectURL(blob),
    found: {},
  }));
  photos = [...fresh, ...photos];
  for (const old of photos.splice(MOST_PHOTOS)) URL.revokeObjectURL(old.url);
  for (const photo of fresh) measure(photo);
  select(fresh[0]);
  if (!model && loading === undefined) openModel($('model').value);
  examineAll();
}

/** The size of the upright photo. */
async function measure(photo) {
  const image = new Image();
  image.src = photo.url;
  await image.decode().catch(() => {});
  photo.width = image.naturalWidth;
  photo.height = image.naturalHeight;
  render();
  lookAt(photo);
}

function select(photo) {
  selected = photo;
  render();
  lookAt(photo);
}

let examining = false;

/** Examines the photos that have no answer yet, the selected one first. */
async function examineAll() {
  if (examining) return;
  examining = true;
  for (;;) {
    const photo = [selected, ...photos].find((one) => one && !one.found.isDone && !one.found.error);
    if (!photo || !model || loading !== undefined) break;
    await examine(photo, photo.found, model);
  }
  examining = false;
}

/** @param found no longer belongs to the photo if the model has changed meanwhile */
async function examine(photo, found, by) {
  try {
    found.classes ??= await ask('classify', photo.blob);
    render();
    lookAt(photo);
    by.ms ??= (await ask('time'))[0];
    render();
    if (by.float && !by.floatError) await compare(photo, found, by);
  } catch (error) {
    found.error = error;
  }
  found.isDone = true;
  render();
}

async function compare(photo, found, by) {
  try {
    by.floatInfo ??= await ask('loadFloat', by.float);
    [found.float] = await ask('classifyFloat', photo.blob);
    render();
    if (!by.floatMs) [by.ms, by.floatMs] = await ask('time');
  } catch (error) {
    by.floatError = error;
  }
}

/** Requests the map of the selected photo, once the size of the photo is known. */
async function lookAt(photo) {
  const { found, blob, width, height } = photo;
  found.maps ??= {};
  if (photo !== selected || method === 'off' || isSwin() || !found.classes || !width) return;
  if (method in found.maps) return;
  const wanted = method;
  found.maps[wanted] = undefined;
  found.maps[wanted] = await ask('look', blob, wanted, width, height).catch(() => undefined);
  render();
}

const isSwin = () => model?.architecture.family === 'swin';

// What the page shows.

function text(id, value) {
  // a live region announces each write, even of the same text
  if ($(id).textContent !== value) $(id).textContent = value;
}

function render() {
  const found = selected?.found ?? {};
  const error = found.error ?? (model ? undefined : modelError);
  document.body.classList.toggle('failed', Boolean(error));
  $('notice').hidden = !notice;
  text('notice-text', notice?.text ?? '');
  text('notice-detail', notice?.detail ?? '');
  text('answer', answer(found, error));
  text('detail', detail(found, error));
  $('progress').classList.toggle('idle', loading === undefined);
  if (loading) $('progress').value = loading;
  else $('progress').removeAttribute('value');
  renderPhoto(found);
  renderClasses(found.classes ?? []);
  renderComparison(found);
  renderModel();
  renderList();
}

function answer({ classes }, error) {
  if (error) return plain(error);
  if (!selected) return 'No photo yet';
  if (classes) return `${capital(classes[0].label)}, ${figure(classes[0])}`;
  return loading === undefined ? 'Looking …' : 'Loading the model …';
}

function detail({ classes }, error) {
  if (error) return error.message;
  if (!model) return '';
  const { labels, output } = model;
  const { length } = labels;
  if (output === 'value') return 'A number that the model reads off the photo, and no class.';
  if (!classes)
    return selected || length > MOST_LABELS ? '' : `It knows ${length} things: ${labels.join(', ')}.`;
  if (output === 'sigmoid')
    return `The likeliest of the ${length} things that it knows. Each may be there or not, independently of the others.`;
  return `${classes[0].probability < 0.5 ? 'It is not sure. This is the' : 'The'} likeliest of the ${length} things that it knows.`;
}

function renderPhoto({ maps, error }) {
  const isShown = selected?.width > 0 && !error;
  $('invitation').hidden = Boolean(selected && !error);
  stage.classList.toggle('full', isShown);
  $('frame').hidden = !isShown;
  $('methods').disabled = isSwin();
  const map = isShown && method !== 'off' && !isSwin() ? maps?.[method] : undefined;
  $('map').hidden = !map;
  text('map-note', isShown ? mapNote() : '');
  if (!isShown) return;
  if ($('picture').src !== selected.url) $('picture').src = selected.url;
  $('picture').alt = `Your photo, ${selected.name}`;
  place($('frame'), selected.width / selected.height / (4 / 3));
  if (map) showMap(map);
}

function mapNote() {
  if (isSwin())
    return 'A Swin has no such map: each window sees a part of the photo, and no token sees all of it.';
  if (method === 'off') return '';
  const whose = method === 'last' ? 'the last block' : 'all blocks, one after the other,';
  return `How much each place counted in the attention of ${whose}. The model sees only the lit square of the photo.`;
}

/** Centres a box of this shape in the box around it. */
function place(box, ratio) {
  const [width, height] = ratio > 1 ? [1, 1 / ratio] : [ratio, 1];
  put(box, { left: (1 - width) / 2, top: (1 - height) / 2, width, height });
}

/** Places a box by shares of the box around it. */
function put(box, parts) {
  for (const [side, part] of Object.entries(parts)) box.style[side] = `${100 * part}%`;
}

let painted;
$('map').width = $('map').height = SIDE;

function showMap(map) {
  const { left, top, width, height } = map.part;
  const [w, h] = [selected.width, selected.height];
  put($('map'), { left: left / w, top: top / h, width: width / w, height: height / h });
  const name = method === 'last' ? 'the last block' : 'all blocks';
  $('map').setAttribute(
    'aria-label',
    `Attention of ${name}, strongest at the ${map.strongest} of what the model sees`,
  );
  if (painted === map) return;
  painted = map;
  $('map').getContext('2d').putImageData(new ImageData(map.rgba, SIDE), 0, 0);
}

function renderClasses(classes) {
  for (const [i, row] of [...$('classes').tBodies[0].rows].entries()) {
    const [label, bar, value] = row.cells;
    const { label: name = '–', probability = 0 } = classes[i] ?? {};
    label.textContent = name;
    bar.querySelector('.filled').style.width = percent(probability).replace(' ', '');
    value.textContent = classes[i] ? figure(classes[i]) : '';
  }
}

function renderComparison({ classes, float }) {
  const told = (best) => (best ? `${best.label}, ${figure(best)}` : '–');
  const ms = (value) => (value === undefined ? '–' : milliseconds(value));
  const size = (value) => (value === undefined ? '–' : megabytes(value));
  const { floatInfo, floatMs } = model ?? {};
  text('integer-answer', told(classes?.[0]));
  text('integer-time', ms(model?.ms));
  text('integer-size', size(model?.bytes));
  text('integer-memory', size(model?.memoryBytes));
  text('integer-kernels', model ? TIERS[model.tier] : '–');
  text('float-answer', told(float));
  text('float-time', ms(floatMs));
  text('float-size', floatInfo ? `${megabytes(floatInfo.bytes)}, f16` : '–');
  text('float-memory', size(floatInfo?.memoryBytes));
  text('float-kernels', floatInfo ? 'float32, SIMD' : '–');
  text('agreement', agreement(classes?.[0], float));
}

function agreement(integer, float) {
  if (model && !model.float)
    return 'The comparison works for the bundled models only, since it needs the float checkpoint.';
  if (model?.floatError) return `The float model: ${plain(model.floatError)}`;
  if (!integer || !float) return '';
  const both = photos.filter(({ found }) => found.float);
  const same = both.filter(({ found }) => found.float.index === found.classes[0].index).length;
  const here = integer.index === float.index ? `Both say ${integer.label}` : 'They differ here';
  const all = both.length > 1 ? `; the same answer on ${same} of ${both.length} photos` : '';
  const { ms, floatMs } = model;
  return `${here}${all}.${floatMs ? ` Float takes ${(floatMs / ms).toFixed(1)} times as long.` : ''}`;
}

/** Of longer lists the page shows the first few. */
const MOST_LABELS = 20;

function renderModel() {
  if (!model) return;
  const { labels, output, architecture, choice } = model;
  const select = $('model');
  if (loading === undefined) {
    let own = select.querySelector('.own');
    if (choice instanceof File) {
      own ??= select.appendChild(Object.assign(new Option(), { className: 'own' }));
      own.value = own.textContent = choice.name;
    } else own?.remove();
    select.value = choice.name ?? choice;
  }
  const { imageSize } = architecture;
  text(
    'knows',
    labels.length > MOST_LABELS
      ? `It knows ${labels.length} things and nothing else. It sees the centre of a photo at ${imageSize}×${imageSize} pixels. Some of the things:`
      : `It knows these ${labels.length} things and nothing else${output === 'softmax' ? ': a photo of anything else gets one of these names too, sometimes with confidence' : ''}. It sees the centre of a photo at ${imageSize}×${imageSize} pixels, so it is often wrong about small things.`,
  );
  const isValue = output === 'value';
  text('classes-caption', isValue ? 'Its value' : 'Likeliest classes');
  text('classes-figure', isValue ? 'Value' : 'Probability');
  if ($('labels').dataset.of === labels.join()) return;
  $('labels').dataset.of = labels.join();
  $('labels').replaceChildren(
    ...labels
      .slice(0, MOST_LABELS)
      .map((label) => Object.assign(document.createElement('li'), { textContent: label })),
  );
}

function renderList() {
  const list = $('photos');
  list.hidden = photos.length < 2;
  const items = photos.map((photo) => (photo.item ??= listItem(photo)));
  // moving an item to its own place would take the focus away
  if (items.some((item, i) => item !== list.children[i]) || items.length < list.children.length)
    list.replaceChildren(...items);
  for (const { item, found } of photos) {
    item.firstChild.setAttribute('aria-current', item === selected.item);
    const [first] = found.classes ?? [];
    const told = first?.value === undefined ? (first?.label ?? '…') : figure(first);
    item.firstChild.lastChild.textContent = found.error ? 'not readable' : told;
  }
}

function listItem(photo) {
  const item = document.createElement('li');
  item.innerHTML = '<button type="button"><img alt="" decoding="async"><span></span></button>';
  const image = item.querySelector('img');
  image.addEventListener('error', () => image.classList.add('broken'));
  image.src = photo.url;
  item.firstChild.title = photo.name;
  item.firstChild.addEventListener('click', () => select(photo));
  return item;
}

// Ways to add a photo.

$('choose').addEventListener('click', () => $('photo-file').click());
$('choose-model').addEventListener('click', () => $('model-file').click());
for (const id of ['photo-file', 'model-file']) {
  $(id).addEventListener('change', ({ target }) => {
    if (target.files.length > 0) addFiles([...target.files]);
    target.value = '';
  });
}
$('example').addEventListener('click', async () => {
  const answer = await fetch(url('../chelsea.png')).catch(() => undefined);
  if (answer) return addFiles([new File([await answer.blob()], 'chelsea.png')]);
  notice = { text: 'The example cannot be loaded.' };
  render();
});
addEventListener('paste', ({ clipboardData }) => {
  const files = [...clipboardData.files];
  if (files.length > 0) addFiles(files);
});
for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  addEventListener(type, (event) => {
    event.preventDefault();
    stage.classList.toggle('target', type === 'dragenter' || type === 'dragover');
    if (type === 'drop') addFiles([...event.dataTransfer.files]);
  });
}
$('close-notice').addEventListener('click', () => {
  notice = undefined;
  render();
});
$('model').addEventListener('change', ({ target }) => openModel(target.value));
$('methods').addEventListener('change', ({ target }) => {
  method = target.value;
  render();
  if (selected) lookAt(selected);
});

// The camera.

const video = $('video');

$('open-camera').addEventListener('click', async () => {
  text('camera-note', '');
  $('take').disabled = true;
  $('camera').showModal();
  try {
    if (!navigator.mediaDevices) throw { name: 'InsecureContext' };
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    if (!$('camera').open) return stop(stream);
    video.srcObject = stream;
    await video.play();
    $('take').disabled = false;
    $('take').focus();
  } catch (error) {
    text('camera-note', plain(error));
  }
});
$('take').addEventListener('click', () => {
  const canvas = Object.assign(document.createElement('canvas'), {
    width: video.videoWidth,
    height: video.videoHeight,
  });
  canvas.getContext('2d').drawImage(video, 0, 0);
  canvas.toBlob((blob) => addFiles([new File([blob], 'camera.jpg')]), 'image/jpeg', 0.95);
  $('camera').close();
});
$('close-camera').addEventListener('click', () => $('camera').close());
$('camera').addEventListener('close', () => {
  if (video.srcObject) stop(video.srcObject);
  video.srcObject = null;
});

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}

$('colours').style.background = `linear-gradient(to right, ${VIRIDIS.join()})`;
render();
// load the model before anybody needs it
const idle = globalThis.requestIdleCallback ?? setTimeout;
idle(() => {
  if (!model && loading === undefined) openModel($('model').value);
});
