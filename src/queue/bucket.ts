import { Readable } from 'node:stream';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { FqvitError, UsageError } from '../errors.js';
import { endpointFault, withShownAddresses } from '../platform/address.js';
import { proxyVariable } from '../platform/proxy.js';
import type { PartOutput } from './output.js';

const TRIES = 5;

/** Time for a connection, and for silence on one. */
const [CONNECTION_MS, SILENCE_MS] = [5000, 10_000];

/** Time for all tries, plus a millisecond per byte of the part. */
const WHOLE_MS = 120_000;

/** The answer to a PUT is a short document. */
const MAX_ANSWER_BYTES = 2 ** 20;

/**
 * Parts in S3 or a compatible store. Credentials and endpoint come from the environment, as for
 * Amazon's own tools.
 *
 * @param target `s3://BUCKET/PREFIX`
 * @throws UsageError `OUTPUT`, also for a faulty AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL
 */
export function openBucket(target: string, env: NodeJS.ProcessEnv): PartOutput {
  const [, bucket, prefix = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]+)(?:\/(.*))?$/.exec(target) ?? [];
  if (bucket === undefined) {
    throw new UsageError(
      'OUTPUT',
      'option --output: expected s3://BUCKET or s3://BUCKET/PREFIX, found another s3:',
    );
  }
  const variable = ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'].find((name) => env[name]);
  const fault = variable && endpointFault(env[variable]!);
  if (fault !== undefined) {
    throw new UsageError('OUTPUT', `${variable}: expected an http or https address, found ${fault}`);
  }
  // other services may have no host name per bucket
  const forcePathStyle = variable !== undefined;
  const client = new S3Client({
    forcePathStyle,
    maxAttempts: TRIES,
    requestHandler: {
      connectionTimeout: CONNECTION_MS,
      socketTimeout: SILENCE_MS,
    },
  });
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as { body: AsyncIterable<Uint8Array> };
      response.body = Readable.from(limited(response.body));
      return result;
    },
    { step: 'deserialize', priority: 'low' },
  );
  const folder = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
  return {
    async write(name, bytes) {
      const object = { Bucket: bucket, Key: folder + name, ContentType: 'application/x-ndjson' };
      try {
        const abortSignal = AbortSignal.timeout(WHOLE_MS + bytes.length);
        await client.send(new PutObjectCommand({ ...object, Body: bytes }), { abortSignal });
      } catch (cause) {
        throw new FqvitError(
          'OUTPUT',
          `s3://${bucket}/${object.Key}: expected to be written, found ${reason(cause, env)}`,
          { cause },
        );
      }
    },
  };
}

async function* limited(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const part of body) {
    length += part.length;
    if (length > MAX_ANSWER_BYTES) throw new Error(`an answer of more than ${MAX_ANSWER_BYTES} bytes`);
    yield part;
  }
}

function reason(error: unknown, env: NodeJS.ProcessEnv): string {
  const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  if (status !== undefined) return `${name} (status ${status})`;
  const proxy = proxyVariable(env);
  const ignored = proxy === undefined ? '' : `; ${proxy} is set and ignored here`;
  return `${name}: ${withShownAddresses(message)}${ignored}`;
}
