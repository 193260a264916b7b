import { OUTPUTS } from '../architecture/output.js';
import { IMAGE_TYPES, MAX_TOP } from './images.js';

interface AppShape {
  readonly maxBytes: number;
  readonly maxImages: number;
  readonly hasToken: boolean;
}

/** The service as an OpenAPI 3.1 document. */
export function openApi({ maxBytes, maxImages, hasToken }: AppShape): object {
  const security = hasToken ? [{ bearer: [] }] : [];
  const refused = hasToken ? { 401: problem('no token, or another') } : {};
  return {
    openapi: '3.1.0',
    info: {
      title: 'fqvit',
      version: '1',
      summary: 'What is in photos, by an integer Vision Transformer',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths: {
      '/v1/classify': {
        post: {
          operationId: 'classify',
          summary: 'Classify one photo or several',
          description:
            'The photo as the body, files of a form, or base64 in JSON, not compressed. One photo that cannot be read is 422; of several each has its own error.',
          security,
          parameters: [
            {
              name: 'top',
              in: 'query',
              description: 'Classes of each photo, best first',
              schema: { type: 'integer', minimum: 1, maximum: MAX_TOP, default: 5 },
            },
          ],
          requestBody: {
            required: true,
            description: `At most ${maxBytes} bytes`,
            content: {
              ...Object.fromEntries(IMAGE_TYPES.map((type) => [type, {}])),
              'multipart/form-data': {
                schema: {
                  type: 'object',
                  required: ['image'],
                  properties: {
                    image: {
                      type: 'array',
                      minItems: 1,
                      maxItems: maxImages,
                      items: { type: 'string', contentMediaType: 'application/octet-stream' },
                    },
                    top: { type: 'integer', minimum: 1, maximum: MAX_TOP },
                  },
                  additionalProperties: false,
                },
              },
              'application/json': {
                example: { images: [ONE_PIXEL], top: 3 },
                schema: {
                  type: 'object',
                  required: ['images'],
                  properties: {
                    images: {
                      type: 'array',
                      minItems: 1,
                      maxItems: maxImages,
                      items: {
                        type: 'string',
                        description: 'Base64, bare or in a data: URL; where it is allowed an address',
                      },
                    },
                    top: { type: 'integer', minimum: 1, maximum: MAX_TOP },
                  },
                  additionalProperties: false,
                },
              },
            },
          },
          responses: {
            200: json('#/components/schemas/Answer', 'The classes of each photo, in their order'),
            400: problem('a query, body, form or JSON that is not as it has to be, or too many photos'),
            ...refused,
            403: problem('an address, which this service does not fetch'),
            408: problem('a body that comes too slowly'),
            413: problem('a body that is too long'),
            415: {
              ...problem('a type of body that is none of these, another charset, or a content-encoding'),
              headers: { 'Accept-Encoding': { description: 'identity', schema: { const: 'identity' } } },
            },
            422: problem('no photo: damaged, too large or of another kind'),
            501: problem('a transfer-encoding other than chunked'),
            503: busy(),
          },
        },
      },
      '/v1/models': {
        get: {
          operationId: 'models',
          summary: 'The model, with its labels',
          security,
          responses: { 200: json('#/components/schemas/Models', 'The model'), ...refused },
        },
      },
      '/healthz': {
        get: { operationId: 'healthz', summary: 'Whether the process answers', responses: health() },
      },
      '/readyz': {
        get: {
          operationId: 'readyz',
          summary: 'Whether the model is there and photos are taken',
          responses: { ...health(), 503: busy() },
        },
      },
    },
    components: {
      ...(hasToken ? { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } } : {}),
      schemas: SCHEMAS,
    },
  };
}

/** A PNG of one pixel, in base64. */
const ONE_PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNoaGgAAAMEAYFL09IQAAAAAElFTkSuQmCC';

const text = { type: 'string' } as const;
const count = { type: 'integer', minimum: 0 } as const;

const SCHEMAS = {
  Answer: object({
    model: text,
    results: { type: 'array', items: { $ref: '#/components/schemas/Result' } },
    ms: { type: 'number', description: 'From the first byte of the body to the answer' },
  }),
  Result: {
    type: 'object',
    properties: {
      name: { type: 'string', description: 'Of the file in a form' },
      predictions: { type: 'array', items: { $ref: '#/components/schemas/Prediction' } },
      error: object({ code: text, message: text }),
    },
    oneOf: [{ required: ['predictions'] }, { required: ['error'] }],
  },
  Prediction: {
    oneOf: [
      object({ index: count, label: text, probability: { type: 'number', minimum: 0, maximum: 1 } }),
      object({ index: count, label: text, value: { type: 'number', description: 'Of a regression model' } }),
    ],
  },
  Models: object({
    models: {
      type: 'array',
      items: object({
        id: text,
        architecture: text,
        imageSize: count,
        classes: count,
        output: {
          enum: OUTPUTS,
          description:
            'Probabilities of all classes sum to 1; each class has its own, from 0 to 1; one value that is none',
        },
        bytes: count,
        tier: text,
        labels: { type: 'array', items: text },
      }),
    },
  }),
  Health: object({ status: { const: 'ok' } }),
  Problem: object({
    title: text,
    status: { type: 'integer' },
    detail: text,
    code: { type: 'string', description: 'Stable across releases' },
  }),
} as const;

function object(properties: Record<string, object>): object {
  return { type: 'object', required: Object.keys(properties), properties, additionalProperties: false };
}

function json($ref: string, description: string): object {
  return { description, content: { 'application/json': { schema: { $ref } } } };
}

function problem(description: string): object {
  const schema = { $ref: '#/components/schemas/Problem' };
  return { description, content: { 'application/problem+json': { schema } } };
}

function busy(): object {
  const headers = { 'Retry-After': { description: 'Seconds', schema: { type: 'integer', minimum: 1 } } };
  return { ...problem('too much to do, or about to end: come again'), headers };
}

function health(): object {
  return { 200: json('#/components/schemas/Health', 'It does') };
}
