// Builds codecs/*.wasm from Debian's sources. Writes their digests and the toolchain to
// codecs/components.json, and the texts of the licences to codecs/licenses. Needs Debian's packages
// clang-19, lld-19, wasi-libc and dpkg-dev.
//
//     npm run build:codecs [-- FOLDER]
//
// FOLDER has the source packages (*.dsc and the files they name); without it apt-get fetches them.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const given = process.argv[2] === undefined ? undefined : resolve(process.argv[2]);
process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const here = resolve('codecs');
const record = JSON.parse(readFileSync('codecs/components.json', 'utf8'));
const components = record.components.filter(({ archives }) => archives !== undefined);

const COMPILE = [
  '--target=wasm32-wasi',
  '-flto',
  '-mbulk-memory',
  '-DNDEBUG',
  '-ffunction-sections',
  '-fdata-sections',
  // the sources support many compilers, and each has its own warnings
  '-w',
];
const LINK = [
  '--no-entry',
  '--import-memory',
  // the same number as in src/image/codec.ts
  `--initial-memory=${2 ** 20}`,
  // an overflow of the stack traps instead of reaching data
  '--stack-first',
  '-zstack-size=65536',
  '--gc-sections',
  '--strip-all',
  '-O2',
  '-L/usr/lib/wasm32-wasi',
];

const each = (folder, names) => names.split(' ').map((name) => `${folder}/${name}.c`);
const JPEG = {
  source: 'libjpeg-turbo',
  flags: (source) => [
    `-I${here}`,
    `-I${source}/src`,
    `-include${here}/jpeg-options.h`,
    '-DNO_GETENV',
    '-DUSE_CLZ_INTRINSIC',
    `-DLIBJPEG_TURBO_VERSION_NUMBER=${versionNumber(readFileSync(`${source}/CMakeLists.txt`, 'utf8').match(/^set\(VERSION (.*)\)$/m)[1])}`,
  ],
};
const MODULES = {
  jpeg: {
    ...JPEG,
    files: [
      ...each('src', 'jcomapi jdapimin jdatasrc jdhuff jdinput jdmarker jdmaster jdphuff jmemmgr jmemnobs'),
      ...each(
        'src/wrapper',
        'jdapistd-8 jdcoefct-8 jdcolor-8 jddctmgr-8 jdmainct-8 jdpostct-8 jdsample-8 jidctint-8 jutils-8',
      ),
    ],
  },
  'jpeg-encode': {
    ...JPEG,
    // it encodes a few thumbnails: small is better than fast
    optimize: '-Oz',
    files: [
      ...each('src', 'jcapimin jchuff jcinit jcmarker jcmaster jcomapi jcparam jdatadst jmemmgr jmemnobs'),
      ...each(
        'src/wrapper',
        'jcapistd-8 jccoefct-8 jccolor-8 jcdctmgr-8 jcmainct-8 jcprepct-8 jcsample-8 jfdctint-8 jutils-8',
      ),
    ],
  },
  webp: {
    source: 'libwebp',
    flags: (source) => [`-I${here}`, `-I${source}`, `-I${source}/src`],
    files: [
      ...each(
        'src/dec',
        'alpha_dec buffer_dec frame_dec io_dec quant_dec tree_dec vp8_dec vp8l_dec webp_dec',
      ),
      ...each('src/dsp', 'alpha_processing cpu dec dec_clip_tables filters lossless rescaler upsampling yuv'),
      ...each('src/utils', 'bit_reader_utils color_cache_utils filters_utils huffman_utils'),
      ...each('src/utils', 'quant_levels_dec_utils random_utils rescaler_utils thread_utils utils'),
    ],
  },
};

function versionNumber(version) {
  const [major, minor, patch] = version.split('.').map(Number);
  return major * 1e6 + minor * 1e3 + patch;
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Checks the digests, then unpacks the sources with Debian's patches. */
function unpack({ name: source, debian, archives }, packages, into) {
  if (given === undefined)
    execFileSync('apt-get', ['source', '--download-only', `${source}=${debian}`], {
      cwd: packages,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  for (const [name, expected] of Object.entries(archives)) {
    const found = sha256(readFileSync(join(packages, name)));
    if (found !== expected) throw new Error(`${name}: expected SHA-256 ${expected}, found ${found}`);
  }
  const dsc = join(packages, `${source}_${debian.replace(/^\d+:/, '')}.dsc`);
  execFileSync('dpkg-source', ['--no-check', '-x', dsc, into], { stdio: 'ignore' });
}

function build(name, source, objects) {
  const { files, flags, optimize = '-O3' } = MODULES[name];
  mkdirSync(objects);
  const compiled = [...files.map((file) => join(source, file)), `codecs/${name}.c`].map((file) => {
    const object = join(objects, `${basename(file)}.o`);
    execFileSync('clang-19', [...COMPILE, optimize, ...flags(source), '-c', file, '-o', object], {
      stdio: 'inherit',
    });
    return object;
  });
  const wasm = join(objects, `${name}.wasm`);
  execFileSync('wasm-ld-19', [...LINK, ...compiled, '-lc', '-o', wasm], { stdio: 'inherit' });
  return readFileSync(wasm);
}

const work = mkdtempSync(join(tmpdir(), 'fqvit-codecs-'));
try {
  const packages = given ?? work;
  // twice, in folders with different names: no path and no date may get into a module
  const rounds = ['once', 'twice-and-elsewhere'].map((round) => {
    const folder = join(work, round);
    mkdirSync(folder);
    for (const component of components) unpack(component, packages, join(folder, component.name));
    return Object.keys(MODULES).map((name) =>
      build(name, join(folder, MODULES[name].source), join(folder, `${name}.o`)),
    );
  });
  for (const [i, name] of Object.keys(MODULES).entries()) {
    const [wasm, again] = rounds.map((modules) => modules[i]);
    if (!wasm.equals(again)) throw new Error(`${name}.wasm: expected the same bytes twice`);
    writeFileSync(`codecs/${name}.wasm`, wasm);
    const digest = sha256(wasm);
    const { modules } = components.find((component) => component.name === MODULES[name].source);
    console.log(
      `${name}.wasm: ${wasm.length} bytes, ${modules[`${name}.wasm`] === digest ? 'as before' : 'CHANGED'}`,
    );
    modules[`${name}.wasm`] = digest;
  }
  mkdirSync('codecs/licenses', { recursive: true });
  for (const { name, licenseFiles } of components) {
    const texts = licenseFiles.map((file) => readFileSync(join(work, 'once', name, file), 'utf8'));
    writeFileSync(`codecs/licenses/${name}.txt`, texts.join('\n'));
  }
  writeFileSync('codecs/licenses/wasi-libc.txt', readFileSync('/usr/share/doc/wasi-libc/copyright'));
  for (const name of Object.keys(record.toolchain))
    record.toolchain[name] = execFileSync('dpkg-query', ['-W', name], { encoding: 'utf8' })
      .trim()
      .split('\t')[1];
  const libc = record.components.find(({ name }) => name === 'wasi-libc');
  libc.debian = record.toolchain['wasi-libc'];
  libc.version = libc.debian.replace(/-[^-]*$/, '');
  writeFileSync('codecs/components.json', `${JSON.stringify(record, null, 2)}\n`);
} finally {
  rmSync(work, { recursive: true });
}
