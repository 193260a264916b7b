import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { FqvitError, UsageError } from '../errors.js';
import { withShownAddresses } from '../platform/address.js';
import { proxyVariable } from '../platform/proxy.js';
import type { PartOutput } from './work.js';

const TRIES = 5;

/** Of a connection, and of silence on one. */
const [CONNECTION_MS, SILENCE_MS] = [5000, 10_000];

/**
 * Parts in S3 or what is like it; who and where the environment says, as to Amazon's own tools.
 *
 * @param target `s3://BUCKET/PREFIX`
 * @throws UsageError `OUTPUT`
 */
export function openBucket(target: string, env: NodeJS.ProcessEnv): PartOutput {
  const [, bucket, prefix = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]+)(?:\/(.*))?$/.exec(target) ?? [];
  if (bucket === undefined) {
    throw new UsageError(
      'OUTPUT',
      'option --output: expected s3://BUCKET or s3://BUCKET/PREFIX, found another s3:',
    );
  }
  // other services than Amazon's need not have a host name for each bucket
  const forcePathStyle = Boolean(env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL);
  const client = new S3Client({
    forcePathStyle,
    maxAttempts: TRIES,
    requestHandler: {
      connectionTimeout: CONNECTION_MS,
      socketTimeout: SILENCE_MS,
    },
  });
  const folder = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
  return {
    async write(name, bytes) {
      const object = { Bucket: bucket, Key: folder + name, ContentType: 'application/x-ndjson' };
      try {
        await client.send(new PutObjectCommand({ ...object, Body: bytes }));
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

function reason(error: unknown, env: NodeJS.ProcessEnv): string {
  const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  if (status !== undefined) return `${name} (status ${status})`;
  const proxy = proxyVariable(env);
  const ignored = proxy === undefined ? '' : `; ${proxy} is set and ignored here`;
  return `${name}: ${withShownAddresses(message)}${ignored}`;
}
