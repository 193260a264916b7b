// Compares one model as the library computes it with what fqvit reads and computes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LibraryError } from './library.mjs';

/** The largest difference of a logit that counts as equal, divided by the logits' deviation. */
const TOLERANCE = 1e-3;

/** A change that moves the logits less than this is invisible when they are compared. */
const VISIBLE = 2e-3;

/** Nothing reads a tensor that moves them less; rounding alone moves them by up to 1e-4. */
const NO_INFLUENCE = 2e-4;

/** In levels of 256: torchvision resizes bytes with its own fixed-point arithmetic. */
const TORCHVISION_LEVELS = 2.001;

/**
 * Makes the library write a model to `folder`, reads it, and compares the two.
 *
 * @returns { verdict, reason, … }: `equal`; `WRONG`; `refused`, with code and message; `CRASH`, an
 *   error without a code; `unfit`, a processor whose pixels the library's own model does not
 *   accept; `library`, if the library fails
 */
export async function compare({ library, reader }, request, folder, probe) {
  let made;
  try {
    made = await library.ask('make', { ...request, folder });
  } catch (error) {
    if (!(error instanceof LibraryError)) throw error;
    return { verdict: 'library', reason: error.message };
  }
  const found = await reader.read(folder, made.photos);
  if (found.refused) return refusal(found.refused, folder);
  if (found.crash) return { verdict: 'CRASH', reason: found.crash };
  if (made.expected === undefined) return compareProcessor(found, made, folder, request);
  if (made.expected.length === 0)
    return { verdict: 'WRONG', reason: 'read, and is a model for another task' };
  const faults = [...faultsOfValues(found, made), ...faultsOfPreprocessing(found, made, folder)];
  const difference = largestDifference(found.values, made);
  const shown = { difference, warnings: found.warnings, magnified: made.magnified };
  if (faults.length > 0) return { verdict: 'WRONG', reason: faults.join('; '), ...shown };
  return { verdict: 'equal', ...shown, ...(probe ? await probed(library) : {}) };
}

/** The verdict if fqvit refuses the config alone, without weights; false if it does not. */
export async function refusedByConfig({ library, reader }, { name, form }, folder) {
  await library.ask('config', { name, form, folder });
  const { refused } = await reader.read(folder);
  return refused?.code === 'CHECKPOINT_CONFIG' && refusal(refused, folder);
}

function refusal({ code, message }, folder) {
  return { verdict: 'refused', code, message: message.replaceAll(`${folder}/`, '') };
}

function largestDifference(values, { expected, deviation }) {
  if (values.length !== expected.length) return Number.NaN;
  return values.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0) / deviation;
}

function faultsOfValues({ values }, made) {
  if (values.length !== made.expected.length)
    return [`${values.length} values instead of ${made.expected.length}`];
  const difference = largestDifference(values, made);
  return difference <= TOLERANCE ? [] : [`logits differ by ${difference.toPrecision(2)} deviations`];
}

function faultsOfPreprocessing({ preprocessing }, { mean, std, photos, levels = 0 }, folder) {
  const faults = [];
  const far = (one, other) => one.some((value, i) => Math.abs(value - other[i]) > 1e-6);
  if (far(preprocessing.mean, mean)) faults.push(`mean ${preprocessing.mean} instead of ${mean}`);
  if (far(preprocessing.std, std)) faults.push(`std ${preprocessing.std} instead of ${std}`);
  for (const { photo } of photos) {
    const [one, other] = ['found', 'expected'].map((kind) => readFileSync(join(folder, `${photo}.${kind}`)));
    if (one.length !== other.length) {
      faults.push(`photo ${photo}: ${one.length} bytes instead of ${other.length}`);
      continue;
    }
    const most = one.reduce((far, value, i) => Math.max(far, Math.abs(value - other[i])), 0);
    if (most > levels) faults.push(`photo ${photo}: differs by ${most} levels`);
  }
  return faults;
}

/** Compares the values of the library's processor with those that fqvit gives to the model. */
function compareProcessor({ preprocessing: { mean, std }, warnings }, { photos, side }, folder, { name }) {
  const faults = [];
  const levels = name.includes('(pil)') ? 0.01 : TORCHVISION_LEVELS;
  let difference = 0;
  for (const { photo, shape } of photos) {
    if (shape.join() !== `3,${side},${side}`)
      return { verdict: 'unfit', reason: `the library's own pixels are ${shape}`, warnings };
    const found = readFileSync(join(folder, `${photo}.found`));
    const bytes = readFileSync(join(folder, `${photo}.expected`));
    const expected = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    let most = 0;
    for (let i = 0; i < found.length; i++) {
      const channel = i % 3;
      const value = (found[i] / 255 - mean[channel]) / std[channel];
      const other = expected[channel * side ** 2 + Math.floor(i / 3)];
      most = Math.max(most, Math.abs(value - other) * std[channel] * 255);
    }
    if (found.length !== expected.length) most = Number.POSITIVE_INFINITY;
    if (!(most <= levels)) faults.push(`photo ${photo}: differs by ${most.toPrecision(2)} levels`);
    difference = Math.max(difference, most);
  }
  return { verdict: faults.length > 0 ? 'WRONG' : 'equal', reason: faults.join('; '), difference, warnings };
}

/** The probes that the comparison would miss, and the one that it sees by the smallest margin. */
async function probed(library) {
  const effects = Object.entries(await library.ask('probe'));
  const isUnread = ([name, effect]) => name.startsWith('tensor ') && effect < NO_INFLUENCE;
  const read = effects.filter((one) => !isUnread(one)).sort(([, a], [, b]) => a - b);
  const text = ([name, effect]) => `${name}: ${effect.toPrecision(2)}`;
  const blind = read.filter(([, effect]) => !(effect >= VISIBLE)).map(text);
  return { probes: read.length, blind, least: read.slice(0, 1).map(text).join() };
}
