import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { FqvitError, UsageError } from '../errors.js';
import type { PartOutput } from './work.js';

const TRIES = 5;

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
  const client = new S3Client({ forcePathStyle, maxAttempts: TRIES });
  const folder = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
  return {
    async write(name, bytes) {
      const object = { Bucket: bucket, Key: folder + name, ContentType: 'application/x-ndjson' };
      try {
        await client.send(new PutObjectCommand({ ...object, Body: bytes }));
      } catch (cause) {
        throw new FqvitError(
          'OUTPUT',
          `s3://${bucket}/${object.Key}: expected to be written, found ${reason(cause)}`,
          { cause },
        );
      }
    },
  };
}

function reason(error: unknown): string {
  const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  return status === undefined ? `${name}: ${message}` : `${name} (status ${status})`;
}
